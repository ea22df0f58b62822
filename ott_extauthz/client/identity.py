"""Who are we, to the issuer?  The workload's certificate, key and authorities, read from files that rotate."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

_FIRST_CERTIFICATE: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class IdentityError(Exception):
    """The files cannot be used; the message names them and quotes nothing of them."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One state of the files, in which certificate and key belong together."""

    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)
    ca: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityFiles:
    """PEM files: our certificate (and its chain), its key without a password, and who may sign the issuer's."""

    certificate: Path
    key: Path
    ca: Path

    def read(self) -> Identity:
        """Read all three.

        Raises:
            IdentityError: one is missing, or caught in the middle of a rotation.
        """
        try:
            found = Identity(self.certificate.read_bytes(), self.key.read_bytes(), self.ca.read_bytes())
        except OSError as error:
            raise IdentityError(f"{error.filename}: {error.strerror}") from None
        if not _belong_together(found):
            raise IdentityError(f"{self.certificate}, {self.key}: not a certificate and its key")
        if not _FIRST_CERTIFICATE.search(found.ca):
            raise IdentityError(f"{self.ca}: no certificate in it")
        return found


def _belong_together(identity: Identity) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(identity.certificate)
        key = load_pem_private_key(identity.key, password=None)
    except (ValueError, TypeError):
        return False
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return certificate.public_key().public_bytes(*form) == key.public_key().public_bytes(*form)
