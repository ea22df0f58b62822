"""What must hold of the connections between Istio's proxies and the server?"""

from typing import Final

from ott_extauthz.envoy_lint.finding import Rule, Severity

NOT_STRICT: Final = Rule(
    name="istio-mtls-not-strict",
    severity=Severity.WARNING,
    title="The protected workload takes connections without mutual TLS.",
    why=(
        "A caller in plain text has no certificate: bound tokens of such callers are refused, and what "
        "travels can be read and taken."
    ),
    mend="Set mtls.mode: STRICT for the workload.",
)
PROXY_LEFT_OUT: Final = Rule(
    name="istio-proxy-left-out",
    severity=Severity.WARNING,
    title="The protected workload takes connections past its proxy.",
    why="Nobody is asked about what comes in by such a port, and a client writes x-ott-subject as it likes.",
    mend="Leave sidecar.istio.io/inject: false and excludeInboundPorts out, but for ports that serve nobody's calls.",
)
CHECK_NOT_STRICT: Final = Rule(
    name="istio-check-mtls-not-strict",
    severity=Severity.WARNING,
    title="The server's workload takes connections without mutual TLS.",
    why="Whoever can call Check can spend tokens and ask which ones are good.",
    mend="Set mtls.mode: STRICT for the server's workload, and keep others away by a NetworkPolicy.",
)
CHECK_PLAIN: Final = Rule(
    name="istio-check-plaintext",
    severity=Severity.WARNING,
    title="Proxies are told to speak plain text with the server.",
    why="CheckRequests carry every token and certificate of every call.",
    mend="Set tls.mode: ISTIO_MUTUAL, or leave tls out.",
)
CHECK_LIMITED: Final = Rule(
    name="istio-check-limits",
    severity=Severity.WARNING,
    title="The connections to the server are limited.",
    why=(
        "Fewer than 1024 requests at once, or few requests per connection: what is above is an authorization "
        "error, and clients get statusOnError."
    ),
    mend="Set connectionPool.http.http2MaxRequests to 4096, and leave maxRequestsPerConnection out.",
)
CHECK_EJECTED: Final = Rule(
    name="istio-check-outlier-detection",
    severity=Severity.NOTE,
    title="Proxies put the server's pods aside for what they answer.",
    why=(
        "A store that is down makes every pod answer alike; putting pods aside then turns reasoned refusals "
        "into unexplained ones."
    ),
    mend="Count failed connections only: splitExternalLocalOriginErrors: true, consecutive5xxErrors: 0.",
)
PORT_PROTOCOL: Final = Rule(
    name="istio-check-port-protocol",
    severity=Severity.WARNING,
    title="The server's port does not say that it speaks gRPC.",
    why="Istio takes an unnamed port for TCP: the connection is not HTTP/2 and every Check fails.",
    mend="Name the port grpc-check, or set appProtocol: grpc.",
)
GATEWAY_NO_CERTIFICATE: Final = Rule(
    name="istio-gateway-certificate-not-required",
    severity=Severity.WARNING,
    title="The protected gateway lets callers in without a certificate.",
    why="There is nothing that a token could be bound to; routes that ask for a binding refuse such calls.",
    mend="Set tls.mode: MUTUAL for the server, or httpsRedirect: true where it speaks plain HTTP.",
)
GATEWAY_OLD_TLS: Final = Rule(
    name="istio-gateway-tls-version",
    severity=Severity.WARNING,
    title="The protected gateway speaks old versions of TLS.",
    why="Below 1.2 handshakes can be downgraded, and what travels be read and changed.",
    mend="Set tls.minProtocolVersion: TLSV1_2, or leave it out.",
)
RULES: Final = (
    NOT_STRICT,
    PROXY_LEFT_OUT,
    CHECK_NOT_STRICT,
    CHECK_PLAIN,
    CHECK_LIMITED,
    CHECK_EJECTED,
    PORT_PROTOCOL,
    GATEWAY_NO_CERTIFICATE,
    GATEWAY_OLD_TLS,
)
