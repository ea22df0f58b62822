"""Is a caller's certificate asked for, verified, and still good?  The TLS of a listener."""

from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.finding import Finding, Rule, Severity
from ott_extauthz.envoy_lint.node import Node
from ott_extauthz.envoy_lint.rules.addresses import is_local
from ott_extauthz.envoy_lint.rules.guarded import Guarded

CLIENT_CERTIFICATE: Final = Rule(
    name="client-certificate-not-required",
    severity=Severity.WARNING,
    title="Callers need no certificate",
    why="there is nothing that a token could be bound to; routes that ask for a binding refuse such calls",
    mend="require_client_certificate: true in the DownstreamTlsContext, with a validation_context",
)
CLIENT_UNVERIFIED: Final = Rule(
    name="client-certificate-unverified",
    severity=Severity.ERROR,
    title="Callers' certificates are taken unverified",
    why="anybody gets himself a certificate with some name: routes that know callers by their names are open to all",
    mend="validation_context: trusted_ca, the authority of your workloads, and no ACCEPT_UNTRUSTED",
)
CLIENT_STALE: Final = Rule(
    name="client-certificate-stale",
    severity=Severity.WARNING,
    title="Callers' certificates count after their end",
    why="a certificate that ended, or was revoked since, still proves who calls",
    mend="no allow_expired_certificate; session_timeout of a day at most, for resumed sessions bring their certificate",
)
TLS_VERSION: Final = Rule(
    name="tls-version",
    severity=Severity.WARNING,
    title="Old versions of TLS are spoken",
    why="below 1.2 handshakes can be downgraded, and what travels be read and changed",
    mend="tls_params: tls_minimum_protocol_version: TLSv1_2",
)
CLIENT_CERT_HEADER: Final = Rule(
    name="client-cert-header-forged",
    severity=Severity.ERROR,
    title="Anybody can write the Client-Cert header",
    why="client_certificate.source is rfc9440, Envoy strips no incoming copy, and anybody may connect",
    mend="require_client_certificate: true, with an authority that signs for your proxy alone; or source: peer",
)
EARLY_DATA: Final = Rule(
    name="early-data",
    severity=Severity.WARNING,
    title="Calls come in before the handshake is done",
    why="who saw them can send them again (0-RTT, RFC 8470): what takes no one-time token is done twice",
    mend="enable_early_data: false in the QuicDownstreamTransport",
)
RULES: Final = (CLIENT_CERTIFICATE, CLIENT_UNVERIFIED, CLIENT_STALE, TLS_VERSION, EARLY_DATA, CLIENT_CERT_HEADER)

LONGEST_SESSION_SECONDS: Final = 86_400
_QUIC: Final = "envoy.extensions.transport_sockets.quic."
_TRUST: Final = ("VERIFY_TRUST_CHAIN", "ACCEPT_UNTRUSTED")
_VERSIONS: Final = ("TLS_AUTO", "TLSv1_0", "TLSv1_1", "TLSv1_2", "TLSv1_3")
_AUTHORITIES: Final = (
    "trusted_ca", "ca_certificate_provider_instance", "verify_certificate_spki", "verify_certificate_hash",
    "custom_validator_config",
)  # fmt: skip
_PUBLIC: Final = frozenset({
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem", "/etc/pki/tls/cacert.pem",
})  # fmt: skip
"""Where systems keep the authorities that sign for everybody who has a domain."""


def findings(guarded: Guarded) -> Iterator[Finding]:
    """Yield what the listener lets callers do without."""
    chain = guarded.chain
    tls = tls_of(chain.sockets)
    common = tls["common_tls_context"]
    kind, outer = chain.sockets.at("transport_socket", "typed_config").typed
    if kind.startswith(_QUIC) and not outer["enable_early_data"].is_false:
        yield outer["enable_early_data"].breaks(EARLY_DATA, "enable_early_data is not false")
    version = common.at("tls_params", "tls_minimum_protocol_version")
    if version.enum(_VERSIONS) in _VERSIONS[1:3]:
        yield version.breaks(TLS_VERSION, f"{version.enum(_VERSIONS)} is enough")
    if guarded.is_attaching:
        return
    is_required = tls["require_client_certificate"].truth
    if not is_required and not chain.is_internal:
        place = tls["require_client_certificate"] if tls.is_there else chain.sockets["transport_socket"]
        yield place.breaks(CLIENT_CERTIFICATE, "a caller without a certificate is let in")
    if is_required:
        yield from _verified(common)
        yield from _stale(tls)
    if guarded.expected.certificate_source == "rfc9440" and not is_required and not is_local(chain.listener["address"]):
        yield chain.sockets["transport_socket"].breaks(CLIENT_CERT_HEADER, "callers need no certificate here")


def _verified(common: Node) -> Iterator[Finding]:
    if not is_verified(common):
        yield common["validation_context"].breaks(CLIENT_UNVERIFIED, "no authority is named")
    for context in contexts_of(common):
        file = context.at("trusted_ca", "filename")
        if file.text in _PUBLIC:
            yield file.breaks(CLIENT_UNVERIFIED, f"{file.text} has authorities that sign for anybody")


def _stale(tls: Node) -> Iterator[Finding]:
    for context in contexts_of(tls["common_tls_context"]):
        expired = context["allow_expired_certificate"]
        if expired.truth:
            yield expired.breaks(CLIENT_STALE, "allow_expired_certificate is true")
    timeout = tls["session_timeout"]
    if (timeout.seconds or 0) > LONGEST_SESSION_SECONDS:
        yield timeout.breaks(CLIENT_STALE, f"sessions are resumed for {timeout.text}")


def tls_of(sockets: Node) -> Node:
    """Return the DownstreamTlsContext; HTTP/3 has it inside its own."""
    _, context = sockets.at("transport_socket", "typed_config").typed
    return context["downstream_tls_context"] if context["downstream_tls_context"].is_there else context


def contexts_of(common: Node) -> tuple[Node, Node]:
    """Return the places of what is said of certificates; what a control plane sends (SDS) is not shown here."""
    return common["validation_context"], common.at("combined_validation_context", "default_validation_context")


def is_verified(common: Node) -> bool:
    """Whether something says whose certificates are good."""
    inline = contexts_of(common)
    if any(each["trust_chain_verification"].enum(_TRUST) == "ACCEPT_UNTRUSTED" for each in inline):
        return False
    return is_sent(common) or any(each[key].is_there for each in inline for key in _AUTHORITIES)


def is_sent(common: Node) -> bool:
    """Whether a control plane says more (SDS)."""
    return any(common[key].is_there for key in ("combined_validation_context", "validation_context_sds_secret_config"))
