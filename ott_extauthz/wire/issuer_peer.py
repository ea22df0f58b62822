"""Which certificate did the client prove?  The configured trust rule, applied to one request of the issuer.

- ``peer``     the certificate of the TLS connection; no header is ever asked
- ``xfcc``     the caller's element of X-Forwarded-Client-Cert, counted from the right as the Check server counts it
- ``rfc9440``  the ``Client-Cert`` header

A header counts only from a proxy: on a connection whose own certificate names one of ``hop_identities``, or on one that
nobody else can make (a Unix socket, or loopback where the operator said so).  From anybody else it is refused.  There
the connection's own certificate is the proxy's, and never the client's.

XFCC must hold the certificate itself (``Cert=``).  ``Hash`` has no names and no dates; ``URI`` and ``DNS`` are written
unquoted by Envoy, and say nothing of what else the certificate names: less than the certificate is no certificate.
"""

import hashlib
import hmac
import socket
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final

from aiohttp import web
from cryptography import x509

from ott_extauthz.authn.certificate_names import UNREADABLE
from ott_extauthz.issuer.certificate import PresentedCertificate
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode
from ott_extauthz.model.addresses import neighbourhood
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.reason import Reason
from ott_extauthz.sections.server import ClientCertificate
from ott_extauthz.wire.peer import CLIENT_CERT, XFCC, der_from_byte_sequence, der_from_url_encoded_pem
from ott_extauthz.wire.xfcc import caller_element

_CACHED: Final = 1024  # certificates seen lately: the same few clients come again and again


class _Refusal(Enum):
    """What is said of a header that cannot be believed: nothing of how it should have looked."""

    STRANGER = "a client certificate in a header, from a peer that is no trusted proxy"
    UNCLEAR = "the client certificate that the proxy forwards cannot be read"

    @property
    def error(self) -> OAuthError:
        if self is _Refusal.STRANGER:
            return OAuthError(OAuthErrorCode.INVALID_REQUEST, self.value)
        return OAuthError(OAuthErrorCode.INVALID_CLIENT, f"client authentication failed: {self.value}", 401)


@dataclass(frozen=True, slots=True)
class ClientCertificates:
    """Reads the client's certificate from a request, by the operator's trust rule.

    ``trusts_plain`` says that whoever connects without TLS is the proxy.
    """

    rule: ClientCertificate
    trusts_plain: bool

    def of(self, request: web.BaseRequest) -> PresentedCertificate | OAuthError | None:
        """Return the certificate, None where the client showed none, or the refusal of a header."""
        if self.rule.source == "peer":
            return peer_certificate(request)
        header = XFCC if self.rule.source == "xfcc" else CLIENT_CERT
        values = tuple(request.headers.getall(header, ()))
        if not values:
            return None
        if not self._is_proxy(request):
            return _Refusal.STRANGER.error
        der = self._forwarded(values) if header == XFCC else _byte_sequence(values)
        found = None if isinstance(der, Reason) else presented_from(der)
        return _Refusal.UNCLEAR.error if found is None else found

    def _is_proxy(self, request: web.BaseRequest) -> bool:
        if request.get_extra_info("ssl_object") is None:
            return self.trusts_plain
        hop = peer_certificate(request)
        return hop is not None and hop.is_sound and any(uri in self.rule.hop_identities for uri in hop.uris)

    def _forwarded(self, values: tuple[str, ...]) -> bytes | Reason:
        rule = self.rule
        element = caller_element(
            values,
            trusted_hops=rule.trusted_hops,
            hop_identities=frozenset(rule.hop_identities),
            exact_hops=rule.exact_hops,
        )
        if isinstance(element, Reason):
            return element
        if not element.cert:
            return Reason.CERTIFICATE_MISSING
        der = der_from_url_encoded_pem(element.cert)
        if isinstance(der, Reason) or element.hash is None:
            return der
        # One proxy wrote both, from one certificate; where they differ, somebody else wrote one of them.
        return der if hmac.compare_digest(hashlib.sha256(der).digest(), element.hash) else Reason.CERTIFICATE_CONFLICT


def _byte_sequence(values: tuple[str, ...]) -> bytes | Reason:
    return der_from_byte_sequence(values[0]) if len(values) == 1 else Reason.CERTIFICATE_HEADER_MALFORMED


def peer_certificate(request: web.BaseRequest) -> PresentedCertificate | None:
    """Return the certificate that TLS verified on this connection, or None when the client showed none."""
    connection = request.get_extra_info("ssl_object")
    der = None if connection is None else connection.getpeercert(binary_form=True)
    return None if der is None else presented_from(der)


def peer_network(request: web.BaseRequest) -> str | None:
    """Return the network that a peer calls from; None on a Unix socket."""
    transport = request.transport
    connection: socket.socket | None = None if transport is None else transport.get_extra_info("socket")
    if connection is None or connection.family == socket.AF_UNIX:
        return None
    return neighbourhood(str(request.remote))


@lru_cache(maxsize=_CACHED)
def presented_from(der: bytes) -> PresentedCertificate | None:
    """Return the names in a DER certificate; None when OpenSSL could read it and we cannot: then it names nobody."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = _alternative_names(certificate)
        return PresentedCertificate(
            sha256=Thumbprint(hashlib.sha256(der).digest()),
            uris=tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
            dns=tuple(names.get_values_for_type(x509.DNSName)),
            subject_dn=certificate.subject.rfc4514_string(),
            not_after_ms=int(certificate.not_valid_after_utc.timestamp()) * 1000,
        )
    except UNREADABLE:
        return None


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])
