"""What does the issuer sign with?  Private keys as :class:`~ott_extauthz.ports.Signer`, and their public halves as JWK.

- A key signs with one algorithm, chosen when it was made.
- Ed25519 goes through libsodium (PyNaCl): 20 µs a signature where OpenSSL needs 31; the rest through ``cryptography``.
- ``kid`` is the RFC 7638 thumbprint: it names the key's content, so a swapped file never goes by the old name.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, assert_never

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from nacl.bindings import crypto_sign

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.ports import Signer

SigningAlgorithm = Literal["EdDSA", "ES256", "RS256", "PS256"]
PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey

MIN_RSA_BITS: Final = 2048  # RFC 7518 §3.3
_NEW_RSA_BITS: Final = 3072  # as strong as the other algorithms here (NIST SP 800-57)
_ED25519_BYTES: Final = 64
_P256_BYTES: Final = 32
_PSS: Final = padding.PSS(padding.MGF1(SHA256()), SHA256.digest_size)


@dataclass(frozen=True, slots=True)
class Ed25519Signer:
    """EdDSA over Curve25519 (RFC 8037 §3.1)."""

    kid: str
    secret: bytes = field(repr=False)  # seed || public key, libsodium's form
    algorithm: str = "EdDSA"

    async def sign(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        """Return 64-byte signatures."""
        return [crypto_sign(message, self.secret)[:_ED25519_BYTES] for message in messages]


@dataclass(frozen=True, slots=True)
class P256Signer:
    """ECDSA on P-256 with SHA-256."""

    kid: str
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    algorithm: str = "ES256"

    async def sign(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        """Return r || s, 32 bytes each; JWS has no DER (RFC 7518 §3.4)."""
        return [joined(self.key.sign(message, ec.ECDSA(SHA256()))) for message in messages]


@dataclass(frozen=True, slots=True)
class RsaSigner:
    """RSASSA with SHA-256: PKCS#1 v1.5 (RFC 7518 §3.3), or PSS with a salt as long as the hash (§3.5)."""

    kid: str
    key: rsa.RSAPrivateKey = field(repr=False)
    algorithm: Literal["RS256", "PS256"]

    async def sign(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        """Return signatures as long as the modulus."""
        scheme = padding.PKCS1v15() if self.algorithm == "RS256" else _PSS
        return [self.key.sign(message, scheme, SHA256()) for message in messages]


def joined(der: bytes) -> bytes:
    """Return a DER signature of ECDSA on P-256 as JWS has it: r || s."""
    r, s = decode_dss_signature(der)
    return r.to_bytes(_P256_BYTES, "big") + s.to_bytes(_P256_BYTES, "big")


def new_key(algorithm: SigningAlgorithm) -> PrivateKey:
    """Make a key for ``algorithm``."""
    match algorithm:
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "RS256" | "PS256":
            return rsa.generate_private_key(public_exponent=65537, key_size=_NEW_RSA_BITS)
        case _:
            assert_never(algorithm)


def signer_from(key: object, algorithm: SigningAlgorithm) -> Signer | None:
    """Return the signer, or None when ``key`` is not one that ``algorithm`` may sign with."""
    if algorithm == "EdDSA" and isinstance(key, ed25519.Ed25519PrivateKey):
        secret = key.private_bytes_raw() + key.public_key().public_bytes_raw()
        return Ed25519Signer(kid_of(key.public_key()), secret)
    if algorithm == "ES256" and isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return P256Signer(kid_of(key.public_key()), key)
    if algorithm in ("RS256", "PS256") and isinstance(key, rsa.RSAPrivateKey) and key.key_size >= MIN_RSA_BITS:
        return RsaSigner(kid_of(key.public_key()), key, algorithm)
    return None


def public_jwk(key: PublicKey, algorithm: SigningAlgorithm) -> dict[str, str]:
    """Return the public key as a JWK for a JWK Set (RFC 7517 §4)."""
    return _members(key) | {"kid": kid_of(key), "use": "sig", "alg": algorithm}


def kid_of(key: PublicKey) -> str:
    """Return the RFC 7638 thumbprint: SHA-256 over the required members, sorted, without white space."""
    return encoded(hashlib.sha256(msgspec.json.encode(_members(key), order="sorted")).digest())


def _members(key: PublicKey) -> dict[str, str]:
    # Exactly the members that RFC 7638 §3.2 and RFC 8037 §2 take into the thumbprint.
    if isinstance(key, ed25519.Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": encoded(key.public_bytes_raw())}
    if isinstance(key, ec.EllipticCurvePublicKey):
        point = key.public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": _fixed(point.x), "y": _fixed(point.y)}
    numbers = key.public_numbers()
    return {"kty": "RSA", "n": _shortest(numbers.n), "e": _shortest(numbers.e)}


def _fixed(value: int) -> str:
    return encoded(value.to_bytes(_P256_BYTES, "big"))  # always full length (RFC 7518 §6.2.1.2)


def _shortest(value: int) -> str:
    return encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))  # no leading zeros (RFC 7518 §2)
