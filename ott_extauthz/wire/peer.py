"""Which certificate did the caller prove?  The configured trust rule, applied once, where the request arrives.

- ``peer``     the certificate of the TLS connection Envoy terminated (``source.certificate``)
- ``xfcc``     an element of X-Forwarded-Client-Cert, counted from the right
- ``rfc9440``  the ``Client-Cert`` header of a trusted proxy

Whatever cannot be read strictly is no certificate.  Where both the connection and XFCC speak of the same hop and
disagree, nothing is believed: one of them is forged, or the proxy's XFCC mode is not the one we were told.
"""

import base64
import binascii
import hmac
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from ott_extauthz.model.facts import Headers, Thumbprint
from ott_extauthz.model.reason import Reason
from ott_extauthz.settings import ClientCertificate
from ott_extauthz.wire.xfcc import caller_thumbprint

XFCC: Final = "x-forwarded-client-cert"
CLIENT_CERT: Final = "client-cert"
MAX_CERTIFICATE_CHARACTERS: Final = 32 * 1024
_CACHED: Final = 2048  # certificates seen lately: parsing one costs 10 µs, remembering it half a microsecond
_BEGIN: Final = "-----BEGIN CERTIFICATE-----"


class PeerCertificates:
    """Reads the caller's thumbprint from a request, by the operator's trust rule."""

    def __init__(self, rule: ClientCertificate) -> None:
        self._source = rule.source
        self._trusted_hops = rule.trusted_hops
        self._hop_identities = frozenset(rule.hop_identities)
        self._exact_hops = rule.exact_hops

    def thumbprint(self, source_certificate: str, headers: Headers) -> Thumbprint | Reason:
        """Return the thumbprint of the caller's certificate, or why there is none."""
        if self._source == "rfc9440":
            return _from_client_cert(headers.get(CLIENT_CERT, ()))
        if self._source == "xfcc" and self._trusted_hops:
            return self._forwarded(headers)
        return self._of_this_hop(source_certificate, headers)

    def _forwarded(self, headers: Headers) -> Thumbprint | Reason:
        return caller_thumbprint(
            headers.get(XFCC, ()),
            trusted_hops=self._trusted_hops,
            hop_identities=self._hop_identities,
            exact_hops=self._exact_hops,
        )

    def _of_this_hop(self, source_certificate: str, headers: Headers) -> Thumbprint | Reason:
        direct = _from_url_encoded_pem(source_certificate) if source_certificate else Reason.CERTIFICATE_MISSING
        if XFCC not in headers:
            return direct
        forwarded = self._forwarded(headers)
        if not source_certificate:
            return forwarded if self._source == "xfcc" else direct
        if isinstance(direct, Reason) or isinstance(forwarded, Reason):
            return direct if isinstance(direct, Reason) else forwarded
        return direct if hmac.compare_digest(direct, forwarded) else Reason.CERTIFICATE_CONFLICT


@lru_cache(maxsize=_CACHED)
def _from_url_encoded_pem(text: str) -> Thumbprint | Reason:
    der = der_from_url_encoded_pem(text)
    return der if isinstance(der, Reason) else _thumbprint(der, Reason.CERTIFICATE_MALFORMED)


def der_from_url_encoded_pem(text: str) -> bytes | Reason:
    """Return the one certificate of a URL-encoded PEM text."""
    # `unquote`, not `unquote_plus`: base64 has a plus sign, which Envoy writes %2B.
    pem = unquote(text) if len(text) <= MAX_CERTIFICATE_CHARACTERS else ""
    if pem.count(_BEGIN) != 1:
        return Reason.CERTIFICATE_MALFORMED
    try:
        return x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
    except ValueError:
        return Reason.CERTIFICATE_MALFORMED


def _thumbprint(der: bytes, fault: Reason) -> Thumbprint | Reason:
    try:
        return Thumbprint(x509.load_der_x509_certificate(der).fingerprint(SHA256()))
    except ValueError:
        return fault


def _from_client_cert(values: tuple[str, ...]) -> Thumbprint | Reason:
    """RFC 9440 §2: one item, a byte sequence of RFC 8941: base64 between colons."""
    if not values:
        return Reason.CERTIFICATE_MISSING
    return _from_byte_sequence(values[0]) if len(values) == 1 else Reason.CERTIFICATE_HEADER_MALFORMED


@lru_cache(maxsize=_CACHED)
def _from_byte_sequence(text: str) -> Thumbprint | Reason:
    der = der_from_byte_sequence(text)
    return der if isinstance(der, Reason) else _thumbprint(der, Reason.CERTIFICATE_HEADER_MALFORMED)


def der_from_byte_sequence(text: str) -> bytes | Reason:
    """Return what a ``Client-Cert`` header holds; whether it is a certificate is not looked at."""
    is_framed = 2 < len(text) <= MAX_CERTIFICATE_CHARACTERS and text.startswith(":") and text.endswith(":")  # noqa: PLR2004
    if not is_framed or not text.isascii():
        return Reason.CERTIFICATE_HEADER_MALFORMED
    try:
        return base64.b64decode(text[1:-1], validate=True)
    except (binascii.Error, ValueError):
        return Reason.CERTIFICATE_HEADER_MALFORMED
