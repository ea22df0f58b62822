"""Which certificate does the caller of a case have?  One with the names of the case, signed by itself."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ott_extauthz.authn.certificate_names import is_spiffe_id

_NOT_BEFORE: Final = datetime(1950, 1, 1, tzinfo=UTC)
_NOT_AFTER: Final = datetime(9999, 12, 31, tzinfo=UTC)


@lru_cache(maxsize=128)
def certificate_naming(principal: str, dns: tuple[str, ...]) -> bytes:
    """Return the DER of a certificate with these names, good at any instant; its thumbprint is not looked at."""
    key, nobody = Ed25519PrivateKey.generate(), x509.Name([])
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in dns]
    if is_spiffe_id(principal):
        names.append(x509.UniformResourceIdentifier(principal))
    builder = x509.CertificateBuilder(nobody, nobody, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(_NOT_BEFORE).not_valid_after(_NOT_AFTER)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    return builder.sign(key, None).public_bytes(serialization.Encoding.DER)
