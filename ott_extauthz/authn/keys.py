"""Does this signature hold?  One verifier per key type, each bound to the algorithms its key may be used with.

Ed25519 goes through libsodium (PyNaCl: about half the time of OpenSSL's, and it refuses small-order keys and malleable
signatures); ES256, RS256 and PS256 through ``cryptography``.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

_ED25519_BYTES: Final = 64
_P256_BYTES: Final = 64  # r || s, 32 bytes each (RFC 7518 §3.4); a DER signature is not one


class VerificationKey(Protocol):
    """A public key and the JOSE algorithms it may verify."""

    @property
    def algorithms(self) -> frozenset[str]:
        """What this key may be used with; a token naming another algorithm is refused before any crypto."""
        ...

    def verifies(self, algorithm: str, message: bytes, signature: bytes) -> bool:
        """Whether ``signature`` over ``message`` was made by this key's owner under ``algorithm``."""
        ...


@dataclass(frozen=True, slots=True)
class Ed25519Key:
    """EdDSA over Curve25519 (RFC 8037), under its old name and under the one that tells the curve (RFC 9864)."""

    key: VerifyKey = field(repr=False)
    algorithms: frozenset[str] = frozenset({"EdDSA", "Ed25519"})

    def verifies(self, algorithm: str, message: bytes, signature: bytes) -> bool:
        """Answer for either name; anything but 64 bytes is no signature."""
        if algorithm not in self.algorithms or len(signature) != _ED25519_BYTES:
            return False
        try:
            self.key.verify(message, signature)
        except BadSignatureError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class P256Key:
    """ECDSA on P-256 with SHA-256 (RFC 7518 §3.4)."""

    key: ec.EllipticCurvePublicKey = field(repr=False)
    algorithms: frozenset[str] = frozenset({"ES256"})

    def verifies(self, algorithm: str, message: bytes, signature: bytes) -> bool:
        """Answer for ES256; r and s are 32 bytes each, never DER."""
        if algorithm != "ES256" or len(signature) != _P256_BYTES:
            return False
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        try:
            self.key.verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class RsaKey:
    """RSASSA with SHA-256, PKCS#1 v1.5 or PSS with a 32-byte salt (RFC 7518 §3.3, §3.5)."""

    key: rsa.RSAPublicKey = field(repr=False)
    algorithms: frozenset[str] = frozenset({"RS256", "PS256"})

    def verifies(self, algorithm: str, message: bytes, signature: bytes) -> bool:
        """Answer for the algorithms this key is allowed; the padding is the algorithm's, never the signature's."""
        if algorithm not in self.algorithms:
            return False
        scheme: padding.AsymmetricPadding = (
            padding.PKCS1v15() if algorithm == "RS256" else padding.PSS(padding.MGF1(SHA256()), SHA256.digest_size)
        )
        try:
            self.key.verify(signature, message, scheme, SHA256())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer, what it may sign with, and its keys by ``kid``."""

    issuer: str
    algorithms: frozenset[str]
    keys: Mapping[str, VerificationKey]


class IssuersFor(Mapping[str, TrustedIssuer]):
    """Those of the trusted issuers whose tokens of one kind count, as they are now."""

    def __init__(self, trust: Mapping[str, TrustedIssuer], names: Collection[str]) -> None:
        self._trust, self._names = trust, frozenset(names)

    def __getitem__(self, name: str) -> TrustedIssuer:
        if name not in self._names:
            raise KeyError(name)
        return self._trust[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._trust if name in self._names)

    def __len__(self) -> int:
        return sum(1 for _ in self)
