"""Who are the demo's and the tests' callers?  A throwaway certificate authority and the identities it issues.

- Never for production: the authority's key lives unprotected in this process and signs whatever it is asked to.
- Fixed dates, so that nothing here reads a clock: what ends such an authority is that its folder is removed.
- Private keys are written so that only their owner can read them; the service refuses to load any other.
"""

import base64
import hashlib
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ott_extauthz.model.facts import Thumbprint

_NOT_BEFORE: Final = datetime(2024, 1, 1, tzinfo=UTC)
_NOT_AFTER: Final = datetime(2044, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Identity:
    """A leaf certificate with its private key, both PEM."""

    certificate_pem: bytes
    key_pem: bytes = field(repr=False)

    @property
    def thumbprint(self) -> Thumbprint:
        """SHA-256 over the DER (RFC 8705 §3.1)."""
        return thumbprint_of(self.certificate_pem)

    @property
    def x5t_s256(self) -> str:
        """The thumbprint as ``cnf`` carries it: base64url without padding."""
        return x5t_s256_of(self.certificate_pem)

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write ``<name>.pem`` and ``<name>-key.pem``; returns both paths."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
        certificate.write_bytes(self.certificate_pem)
        write_private(key, self.key_pem)
        return certificate, key


def thumbprint_of(certificate_pem: bytes) -> Thumbprint:
    """Return SHA-256 over a certificate's DER."""
    der = x509.load_pem_x509_certificate(certificate_pem).public_bytes(serialization.Encoding.DER)
    return Thumbprint(hashlib.sha256(der).digest())


def x5t_s256_of(certificate_pem: bytes) -> str:
    """Return the same as ``cnf`` carries it."""
    return base64.urlsafe_b64encode(thumbprint_of(certificate_pem)).rstrip(b"=").decode()


def write_private(path: Path, content: bytes) -> None:
    """Write a file that nobody but its owner could ever have read, not even for a moment."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


class Authority:
    """A root that issues leaf certificates directly."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _common_name(name)
        unsigned = _builder(
            self._name, self._name, subject_key=self._key.public_key(), issuer_key=self._key.public_key()
        )
        unsigned = unsigned.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self._certificate = unsigned.add_extension(_key_usage(signs_certificates=True), critical=True).sign(
            self._key, hashes.SHA256()
        )

    @property
    def certificate_pem(self) -> bytes:
        """The root certificate: what a verifier must trust."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def write(self, folder: Path, name: str = "ca") -> Path:
        """Write the root certificate as ``<name>.pem``; its key is never written."""
        path = folder / f"{name}.pem"
        path.write_bytes(self.certificate_pem)
        return path

    def issue(  # noqa: PLR0913 - each names another part of a certificate
        self,
        common_name: str,
        *,
        uri: str | None = None,
        dns: tuple[str, ...] = (),
        ips: tuple[str, ...] = (),
        client: bool = True,
        server: bool = False,
        organisation: str | None = None,
    ) -> Identity:
        """Issue a leaf for ``common_name`` with the subject alternative names and the usages asked for."""
        key = ec.generate_private_key(ec.SECP256R1())
        unsigned = _builder(
            _common_name(common_name, organisation),
            self._name,
            subject_key=key.public_key(),
            issuer_key=self._key.public_key(),
        )
        unsigned = unsigned.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        unsigned = unsigned.add_extension(_key_usage(signs_certificates=False), critical=True)
        names = _alternative_names(uri, dns, ips)
        if names:
            unsigned = unsigned.add_extension(x509.SubjectAlternativeName(names), critical=False)
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH] * client + [ExtendedKeyUsageOID.SERVER_AUTH] * server
        if usages:
            unsigned = unsigned.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        certificate = unsigned.sign(self._key, hashes.SHA256())
        return Identity(certificate.public_bytes(serialization.Encoding.PEM), _private_pem(key))


def _common_name(name: str, organisation: str | None = None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if organisation is not None:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(attributes)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    *,
    subject_key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    # The two key identifiers are what Python 3.13 and newer insist on (VERIFY_X509_STRICT).
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(subject_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(subject_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative_names(uri: str | None, dns: tuple[str, ...], ips: tuple[str, ...]) -> list[x509.GeneralName]:
    uris: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri)] if uri else []
    return uris + [x509.DNSName(name) for name in dns] + [x509.IPAddress(ip_address(ip)) for ip in ips]


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
