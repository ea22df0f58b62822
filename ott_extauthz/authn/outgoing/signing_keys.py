"""What do we sign requests with?  Secrets and private keys out of the bytes of a file, each for one algorithm.

- A secret is written as a partner's is (:mod:`ott_extauthz.authn.partner_keys`): both sides may have the same file.
- A private key is PEM (PKCS #8, not encrypted) or a JWK; its kind says its algorithm.
- An RSA key has at most 4096 bits: a signature by a longer one would hold up every other call.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.errors import JoseError
from joserfc.jwk import import_key
from nacl.bindings import crypto_sign

from ott_extauthz.authn.partner_keys import PartnerKeyError, secret_from
from ott_extauthz.authn.partners import KeyAlgorithm, SignatureForm
from ott_extauthz.authn.strict_json import NotStrictJsonError, object_from

MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 4096

TAKEN: Final = {
    SignatureForm.HMAC: frozenset({KeyAlgorithm.HMAC_SHA256}),
    SignatureForm.EDDSA: frozenset({KeyAlgorithm.ED25519}),
    SignatureForm.STANDARD_WEBHOOKS: frozenset({KeyAlgorithm.HMAC_SHA256, KeyAlgorithm.ED25519}),
    SignatureForm.HTTP_SIGNATURES: frozenset(KeyAlgorithm),
}
"""Which algorithms each form knows."""

_ED25519_BYTES: Final = 64
_P256_BYTES: Final = 32
_PSS: Final = padding.PSS(padding.MGF1(SHA512()), SHA512.digest_size)  # RFC 9421 §3.3.1
_KINDS: Final[dict[str, Literal["OKP", "EC", "RSA"]]] = {"OKP": "OKP", "EC": "EC", "RSA": "RSA"}


class SigningKeyError(ValueError):
    """The file holds no such key; the message quotes nothing of it."""


class Maker(Protocol):
    """Makes signatures with one key, for one algorithm."""

    @property
    def algorithm(self) -> KeyAlgorithm:
        """The one algorithm."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the signature over ``message``, in the form of RFC 9421 §3.3."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretMaker:
    """HMAC-SHA-256 with a secret that the receiver has, too."""

    secret: bytes = field(repr=False)
    algorithm: KeyAlgorithm = KeyAlgorithm.HMAC_SHA256

    def sign(self, message: bytes) -> bytes:
        """Return 32 bytes."""
        return hmac.digest(self.secret, message, hashlib.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ed25519Maker:
    """Ed25519 through libsodium; ``secret`` is seed and public key, its form."""

    secret: bytes = field(repr=False)
    algorithm: KeyAlgorithm = KeyAlgorithm.ED25519

    def sign(self, message: bytes) -> bytes:
        """Return 64 bytes."""
        return crypto_sign(message, self.secret)[:_ED25519_BYTES]


@dataclass(frozen=True, slots=True, kw_only=True)
class P256Maker:
    """ECDSA on P-256 with SHA-256."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    algorithm: KeyAlgorithm = KeyAlgorithm.ECDSA_P256_SHA256

    def sign(self, message: bytes) -> bytes:
        """Return r || s, 32 bytes each; no DER."""
        r, s = decode_dss_signature(self.key.sign(message, ec.ECDSA(SHA256())))
        return r.to_bytes(_P256_BYTES, "big") + s.to_bytes(_P256_BYTES, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class RsaPssMaker:
    """RSASSA-PSS with SHA-512 and a salt of 64 bytes."""

    key: rsa.RSAPrivateKey = field(repr=False)
    algorithm: KeyAlgorithm = KeyAlgorithm.RSA_PSS_SHA512

    def sign(self, message: bytes) -> bytes:
        """Return as many bytes as the modulus has."""
        return self.key.sign(message, _PSS, SHA512())


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key of ours, the one form in which it signs, and the name by which receivers know it (None: they know none)."""

    form: SignatureForm
    maker: Maker
    keyid: str | None = None

    @property
    def told_keyid(self) -> str | None:
        """The name, where the form has a word for it."""
        return self.keyid if self.form is SignatureForm.HTTP_SIGNATURES else None


def secret_maker(raw: bytes, encoding: str) -> Maker:
    """Return what signs with the shared secret of a file; ``encoding``: ``text``, ``base64`` or ``whsec``.

    Raises:
        SigningKeyError: it holds none, or one that can be guessed.
    """
    try:
        return SecretMaker(secret=secret_from(raw, encoding=encoding).secret)
    except PartnerKeyError as error:
        raise SigningKeyError(str(error)) from None


def private_key_maker(raw: bytes) -> tuple[Maker, str | None]:
    """Return what signs with the private key of a file, and the ``kid`` that a JWK gives it.

    Raises:
        SigningKeyError: it holds none, one that is encrypted, or one that no form signs with.
    """
    if raw.lstrip().startswith(b"{"):
        entry = _json(raw)
        kid = entry.get("kid")
        return _maker(_of_jwk(entry)), kid if isinstance(kid, str) and kid else None
    return _maker(_of_pem(raw)), None


def _of_pem(raw: bytes) -> object:
    try:
        return load_pem_private_key(raw, password=None)
    except TypeError:
        raise SigningKeyError("this key is encrypted; the file must hold it in clear") from None
    except (ValueError, UnsupportedAlgorithm):
        raise SigningKeyError("neither a private key in PEM nor a JWK") from None


def _json(raw: bytes) -> dict[str, Any]:
    try:
        return object_from(raw)
    except NotStrictJsonError as error:
        raise SigningKeyError(f"not a JSON object: {error}") from None


def _of_jwk(entry: dict[str, Any]) -> object:
    kind = _KINDS.get(str(entry.get("kty")))
    if kind is None or "d" not in entry:
        raise SigningKeyError("a JWK, but no private key")
    try:
        return import_key(entry, kind).private_key
    except (JoseError, ValueError, TypeError):
        raise SigningKeyError("a JWK that cannot be read") from None


def _maker(key: object) -> Maker:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return Ed25519Maker(secret=key.private_bytes_raw() + key.public_key().public_bytes_raw())
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return P256Maker(key=key)
    if isinstance(key, rsa.RSAPrivateKey):
        if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
            raise SigningKeyError(f"an RSA key has {MIN_RSA_BITS} to {MAX_RSA_BITS} bits, and this one {key.key_size}")
        return RsaPssMaker(key=key)
    raise SigningKeyError("not a kind of key that we sign with: Ed25519, P-256 or RSA")
