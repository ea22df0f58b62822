"""Whom does a client certificate name, and from when to when?

Read from the certificate itself, never from a header that speaks of it: a proxy writes SANs as they are, and says
nothing of what else the certificate names.

- A SPIFFE ID counts only as the sole URI SAN and by its grammar (X.509-SVID §2, SPIFFE-ID §2): with two of them two
  programs could read two workloads out of one certificate.
- A name with NUL in it is nobody's (CVE-2025-66220, CVE-2026-47778), and neither the subject nor an IP address names
  a caller.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography import x509

SPIFFE_ID: Final = re.compile(r"spiffe://[a-z0-9._-]+(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+)+")
"""A workload's SPIFFE ID: a trust domain and a path without empty, ``.`` or ``..`` segments (SPIFFE-ID §2)."""

MAX_SPIFFE_ID: Final = 2048  # SPIFFE-ID §2.3
_CACHED: Final = 2048  # certificates seen lately: reading one costs 30 µs
UNREADABLE: Final = (
    ValueError,
    TypeError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises for a certificate that it cannot read; most of these are no ValueError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateNames:
    """What a certificate says of its holder; ``claims_spiffe`` also where the SPIFFE ID is none by the rules."""

    spiffe_id: str | None
    trust_domain: str | None
    claims_spiffe: bool
    dns: frozenset[str]
    not_before_ms: int
    not_after_ms: int

    def is_current(self, now_ms: int, *, lead_ms: int = 0) -> bool:
        """Whether it holds at this instant; ``lead_ms`` is how far our clock may be behind."""
        return self.not_before_ms <= now_ms + lead_ms and now_ms <= self.not_after_ms


@lru_cache(maxsize=_CACHED)
def names_in(der: bytes) -> CertificateNames | None:
    """Return the names in a certificate; None where it cannot be read, and then it names nobody."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = _alternative_names(certificate)
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
        dns = names.get_values_for_type(x509.DNSName)
        not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except UNREADABLE:
        return None
    spiffe_id = uris[0] if len(uris) == 1 and is_spiffe_id(uris[0]) else None
    return CertificateNames(
        spiffe_id=spiffe_id,
        trust_domain=None if spiffe_id is None else spiffe_id.removeprefix("spiffe://").partition("/")[0],
        claims_spiffe=any(claims_spiffe(uri) for uri in uris),
        dns=frozenset(name.lower() for name in dns if name.isascii() and name.isprintable()),
        not_before_ms=int(not_before.timestamp()) * 1000,
        not_after_ms=int(not_after.timestamp()) * 1000,
    )


def is_spiffe_id(text: str) -> bool:
    """Whether ``text`` is a workload's SPIFFE ID."""
    return len(text) <= MAX_SPIFFE_ID and SPIFFE_ID.fullmatch(text) is not None


def claims_spiffe(name: str) -> bool:
    """Whether a name means to be a SPIFFE ID, in whatever spelling."""
    return name[:7].lower() == "spiffe:"


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])
