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
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from ott_extauthz.authn.certificate_names import UNREADABLE
from ott_extauthz.model.facts import Headers, Thumbprint
from ott_extauthz.model.reason import Reason
from ott_extauthz.sections.server import ClientCertificate
from ott_extauthz.wire.xfcc import XfccElement, caller_element

XFCC: Final = "x-forwarded-client-cert"
CLIENT_CERT: Final = "client-cert"
MAX_CERTIFICATE_CHARACTERS: Final = 32 * 1024
_CACHED: Final = 2048  # certificates seen lately: parsing one costs 10 µs, remembering it half a microsecond
_BEGIN: Final = "-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class CallerCertificate:
    """The caller's certificate: its thumbprint, or why there is none; and itself, where it came whole."""

    thumbprint: Thumbprint | Reason
    der: bytes | None = field(default=None, repr=False)


_NONE: Final = CallerCertificate(Reason.CERTIFICATE_MISSING)


class PeerCertificates:
    """Reads the caller's certificate from a request, by the operator's trust rule.

    ``proves`` says whether a SPIFFE ID is that of a certificate, and signed by its own trust domain; None: no domains
    are listed, and Envoy's word is taken.
    """

    def __init__(self, rule: ClientCertificate, proves: Callable[[str, bytes | None], bool] | None = None) -> None:
        self._proves = proves
        self._source = rule.source
        self._trusted_hops = rule.trusted_hops
        self._hop_identities = frozenset(rule.hop_identities)
        self._exact_hops = rule.exact_hops

    def believes(self, principal: str, source_certificate: str) -> bool:
        """Whether the connection's principal counts."""
        if self._proves is None:
            return True
        return self._proves(principal, _from_url_encoded_pem(source_certificate).der if source_certificate else None)

    def of(self, source_certificate: str, headers: Headers, *, principal: str = "") -> CallerCertificate:
        """Return the caller's certificate, or why there is none; ``principal`` is the connection's."""
        if self._source == "rfc9440":
            return _from_client_cert(headers.get(CLIENT_CERT, ()))
        if self._source == "xfcc" and self._trusted_hops:
            return self._behind_a_proxy(source_certificate, headers, principal)
        return self._of_this_hop(source_certificate, headers)

    def _behind_a_proxy(self, source_certificate: str, headers: Headers, principal: str) -> CallerCertificate:
        if self._proves is not None:
            # Any authority of Envoy's could sign the proxy's name, and a DNS name with `;URI=` in it writes one into
            # XFCC: the connection itself must be the proxy's.
            if principal not in self._hop_identities:
                return CallerCertificate(Reason.CERTIFICATE_HOP_UNTRUSTED)
            if not self.believes(principal, source_certificate):
                return CallerCertificate(Reason.TRUST_DOMAIN_UNPROVEN)
        return self._forwarded(headers)

    def _forwarded(self, headers: Headers) -> CallerCertificate:
        element = caller_element(
            headers.get(XFCC, ()),
            trusted_hops=self._trusted_hops,
            hop_identities=self._hop_identities,
            exact_hops=self._exact_hops,
        )
        return CallerCertificate(element) if isinstance(element, Reason) else _from_element(element)

    def _of_this_hop(self, source_certificate: str, headers: Headers) -> CallerCertificate:
        direct = _from_url_encoded_pem(source_certificate) if source_certificate else _NONE
        if XFCC not in headers:
            return direct
        forwarded = self._forwarded(headers)
        if not source_certificate:
            return forwarded if self._source == "xfcc" else direct
        if isinstance(direct.thumbprint, Reason) or isinstance(forwarded.thumbprint, Reason):
            return direct if isinstance(direct.thumbprint, Reason) else forwarded
        is_one = hmac.compare_digest(direct.thumbprint, forwarded.thumbprint)
        return direct if is_one else CallerCertificate(Reason.CERTIFICATE_CONFLICT)


def _from_element(element: XfccElement) -> CallerCertificate:
    """Return what XFCC says of one certificate: known by its Hash, and whole where the proxy added ``Cert``."""
    if element.hash is None:
        return _NONE
    if not element.cert:
        return CallerCertificate(Thumbprint(element.hash))
    whole = _from_url_encoded_pem(element.cert)
    if isinstance(whole.thumbprint, Reason):
        return whole
    # One proxy wrote both, from one certificate; where they differ, somebody else wrote one of them.
    is_one = hmac.compare_digest(whole.thumbprint, element.hash)
    return whole if is_one else CallerCertificate(Reason.CERTIFICATE_CONFLICT)


@lru_cache(maxsize=_CACHED)
def _from_url_encoded_pem(text: str) -> CallerCertificate:
    der = der_from_url_encoded_pem(text)
    return CallerCertificate(der) if isinstance(der, Reason) else _certificate(der, Reason.CERTIFICATE_MALFORMED)


def der_from_url_encoded_pem(text: str) -> bytes | Reason:
    """Return the one certificate of a URL-encoded PEM text."""
    # `unquote`, not `unquote_plus`: base64 has a plus sign, which Envoy writes %2B.
    pem = unquote(text) if len(text) <= MAX_CERTIFICATE_CHARACTERS else ""
    if pem.count(_BEGIN) != 1:
        return Reason.CERTIFICATE_MALFORMED
    try:
        return x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
    except UNREADABLE:
        return Reason.CERTIFICATE_MALFORMED


def _certificate(der: bytes, fault: Reason) -> CallerCertificate:
    try:
        return CallerCertificate(Thumbprint(x509.load_der_x509_certificate(der).fingerprint(SHA256())), der)
    except UNREADABLE:
        return CallerCertificate(fault)


def _from_client_cert(values: tuple[str, ...]) -> CallerCertificate:
    """RFC 9440 §2: one item, a byte sequence of RFC 8941: base64 between colons."""
    if not values:
        return _NONE
    return (
        _from_byte_sequence(values[0]) if len(values) == 1 else CallerCertificate(Reason.CERTIFICATE_HEADER_MALFORMED)
    )


@lru_cache(maxsize=_CACHED)
def _from_byte_sequence(text: str) -> CallerCertificate:
    der = der_from_byte_sequence(text)
    return CallerCertificate(der) if isinstance(der, Reason) else _certificate(der, Reason.CERTIFICATE_HEADER_MALFORMED)


def der_from_byte_sequence(text: str) -> bytes | Reason:
    """Return what a ``Client-Cert`` header holds; whether it is a certificate is not looked at."""
    is_framed = 2 < len(text) <= MAX_CERTIFICATE_CHARACTERS and text.startswith(":") and text.endswith(":")  # noqa: PLR2004
    if not is_framed or not text.isascii():
        return Reason.CERTIFICATE_HEADER_MALFORMED
    try:
        return base64.b64decode(text[1:-1], validate=True)
    except (binascii.Error, ValueError):
        return Reason.CERTIFICATE_HEADER_MALFORMED
