"""Which certificate is a client's?  One matcher of ``clients.yaml``, spelled the one way certificates are spelled."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Final

from cryptography import x509
from pydantic import AfterValidator, model_validator

from ott_extauthz.documents.validated import Model
from ott_extauthz.issuer.certificate import PresentedCertificate, is_spiffe_id

_HEX_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_DNS_NAME: Final = re.compile(
    r"(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*"
)


def _spiffe_id(text: str) -> str:
    if not is_spiffe_id(text):
        raise ValueError("a SPIFFE ID is written spiffe://trust-domain/path")
    return text


def _sha256(text: str) -> str:
    digits = text.replace(":", "").lower()
    if not _HEX_SHA256.fullmatch(digits):
        raise ValueError("a SHA-256 fingerprint of the certificate is 64 hexadecimal digits, colons allowed")
    return digits


def _subject_dn(text: str) -> str:
    """Spell the name as the certificate's will be spelled (RFC 4514, RFC 8705 §2.1.2)."""
    try:
        name = x509.Name.from_rfc4514_string(text).rfc4514_string()
    except ValueError:
        name = ""
    if not name:
        raise ValueError("a subject is written as in RFC 4514: CN=rgs,O=Bank")
    return name


def _dns(text: str) -> str:
    name = text.lower()
    if not _DNS_NAME.fullmatch(name):
        raise ValueError("a DNS name without wildcard: rgs.bank.example")
    return name


SPELLINGS: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType(
    {
        "spiffe_id": _spiffe_id,
        "sha256": _sha256,
        "subject_dn": _subject_dn,
        "dns": _dns,
    }
)


class CertificateMatcher(Model):
    """Which certificate is the client's: exactly one of the four."""

    spiffe_id: Annotated[str, AfterValidator(_spiffe_id)] | None = None
    sha256: Annotated[str, AfterValidator(_sha256)] | None = None
    subject_dn: Annotated[str, AfterValidator(_subject_dn)] | None = None
    dns: Annotated[str, AfterValidator(_dns)] | None = None

    @model_validator(mode="after")
    def _is_exactly_one(self) -> "CertificateMatcher":
        if sum(value is not None for _, value in self) != 1:
            raise ValueError("exactly one of spiffe_id, sha256, subject_dn, dns")
        return self

    def matches(self, certificate: PresentedCertificate) -> bool:
        """Whether this is the client's certificate."""
        if self.spiffe_id is not None:
            return certificate.spiffe_id == self.spiffe_id
        if self.sha256 is not None:
            return certificate.sha256.hex() == self.sha256
        if self.subject_dn is not None:
            return certificate.subject_dn == self.subject_dn
        return self.dns is not None and self.dns in map(str.lower, certificate.dns)
