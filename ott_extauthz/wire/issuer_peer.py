"""Which certificate did the client prove?  That of the TLS connection; no header is ever asked."""

import hashlib
from functools import lru_cache
from typing import Final

from aiohttp import web
from cryptography import x509

from ott_extauthz.issuer.certificate import PresentedCertificate
from ott_extauthz.model.facts import Thumbprint

_CACHED: Final = 1024  # certificates seen lately: the same few clients come again and again
_UNREADABLE: Final = (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


def peer_certificate(request: web.BaseRequest) -> PresentedCertificate | None:
    """Return the certificate that TLS verified on this connection, or None when the client showed none."""
    connection = request.get_extra_info("ssl_object")
    der = None if connection is None else connection.getpeercert(binary_form=True)
    return None if der is None else presented_from(der)


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
    except _UNREADABLE:
        return None


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])
