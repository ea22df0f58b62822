"""One-time, certificate-bound tokens enforced at Envoy's ext_authz gRPC Check API."""

__version__ = "0.1.0"
