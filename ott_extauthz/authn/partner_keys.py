"""What is a partner's key, and is it one?  Secrets and public keys out of the bytes of a file, bounded and judged.

- A secret is a text, the base64 of some bytes, or `whsec_` and base64 (Standard Webhooks).
- A public key is PEM, a JWK, or `whpk_` and base64 (Standard Webhooks).  It is judged like one of a key set; a private
  key is refused: it has no business here.
- What everybody may have is no secret: a file for a secret that holds a public key is refused.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.jwks import KeySetError, key_from
from ott_extauthz.authn.keys import Ed25519Key, P256Key, RsaKey, VerificationKey
from ott_extauthz.authn.padded_base64 import decoded
from ott_extauthz.authn.partners import MIN_SECRET_BYTES, KeyAlgorithm, PartnerKey, SharedSecret
from ott_extauthz.authn.strict_json import NotStrictJsonError, object_from

MAX_KEY_FILE_BYTES: Final = 16_384
MAX_SECRET_BYTES: Final = 1024

_WEBHOOK_SECRET: Final = "whsec_"
_WEBHOOK_PUBLIC_KEY: Final = "whpk_"
_PUBLIC: Final = (_WEBHOOK_PUBLIC_KEY, "ssh-", "-----BEGIN", "{")
_VISIBLE: Final = re.compile(rb"[\x21-\x7e]+")
_ED25519_BYTES: Final = 32
_PSS: Final = "PS512"
_ANY_RSA: Final = frozenset({"RS256", "PS256"})


class PartnerKeyError(ValueError):
    """The file holds no such key; the message quotes nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """An Ed25519 or P-256 key of a partner's."""

    key: VerificationKey
    algorithm: KeyAlgorithm
    kid: str | None = None

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Verify; the JOSE algorithm of the same curve makes signatures of the same form (RFC 9421 §3.3.4, §3.3.6)."""
        return self.key.verifies(_JOSE[self.algorithm], message, signature)


_JOSE: Final = {KeyAlgorithm.ED25519: "EdDSA", KeyAlgorithm.ECDSA_P256_SHA256: "ES256"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RsaPssKey:
    """An RSA key of a partner's: RSASSA-PSS with SHA-512 and a salt of 64 bytes (RFC 9421 §3.3.1)."""

    key: rsa.RSAPublicKey = field(repr=False)
    kid: str | None = None
    algorithm: KeyAlgorithm = KeyAlgorithm.RSA_PSS_SHA512

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Verify."""
        try:
            self.key.verify(signature, message, padding.PSS(padding.MGF1(SHA512()), SHA512.digest_size), SHA512())
        except InvalidSignature:
            return False
        return True


def secret_from(raw: bytes, *, kid: str | None = None, encoding: str = "text") -> SharedSecret:
    """Return the shared secret of a file; ``encoding``: ``text``, ``base64`` or ``whsec``.

    Raises:
        PartnerKeyError: it is none, or one that can be guessed.
    """
    line = _one_line(raw)
    if line.startswith(_PUBLIC):
        raise PartnerKeyError("holds a key that others may have; a shared secret is random bytes")
    if encoding == "text":
        if line.startswith(_WEBHOOK_SECRET):
            raise PartnerKeyError("whsec_ is the base64 of a secret; write encoding: whsec")
        secret: bytes | None = line.encode("ascii")
    else:
        text = line.removeprefix(_WEBHOOK_SECRET) if encoding == "whsec" else line
        secret = decoded(text + "=" * (-len(text) % 4))
    if secret is None:
        raise PartnerKeyError("not base64 in one line")
    if not MIN_SECRET_BYTES <= len(secret) <= MAX_SECRET_BYTES:
        raise PartnerKeyError(
            f"a secret has {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes, and these are {len(secret)}"
        )
    return SharedSecret(secret=secret, kid=kid)


def public_key_from(raw: bytes, *, kid: str | None = None) -> PartnerKey:
    """Return the public key of a file: PEM, a JWK, or ``whpk_``.

    Raises:
        PartnerKeyError: it is none, a private one, or a weak one.
    """
    entry = _jwk(raw)
    try:
        key = key_from({name: entry[name] for name in entry if name != "alg"} if _is_pss(entry) else entry)
    except KeySetError as error:
        raise PartnerKeyError(str(error)) from None
    match key:
        case Ed25519Key():
            return PublicKey(key=key, algorithm=KeyAlgorithm.ED25519, kid=kid)
        case P256Key():
            return PublicKey(key=key, algorithm=KeyAlgorithm.ECDSA_P256_SHA256, kid=kid)
        case RsaKey() if key.algorithms == _ANY_RSA:  # a JWK may say which algorithm it is for
            return RsaPssKey(key=key.key, kid=kid)
    raise PartnerKeyError("not a kind of key that verifies signed requests")


def _jwk(raw: bytes) -> dict[str, Any]:
    if raw.lstrip().startswith(b"{"):
        try:
            return object_from(raw)
        except NotStrictJsonError as error:
            raise PartnerKeyError(f"not a JSON object: {error}") from None
    if raw.lstrip().startswith(b"-----BEGIN"):
        return _of_pem(raw)
    line = _one_line(raw)
    point = decoded(line.removeprefix(_WEBHOOK_PUBLIC_KEY))
    if not line.startswith(_WEBHOOK_PUBLIC_KEY) or point is None or len(point) != _ED25519_BYTES:
        raise PartnerKeyError("neither PEM nor a JWK nor whpk_ with the base64 of 32 bytes")
    return {"kty": "OKP", "crv": "Ed25519", "x": encoded(point)}


def _of_pem(raw: bytes) -> dict[str, Any]:
    if not raw.lstrip().startswith(b"-----BEGIN PUBLIC KEY-----"):
        raise PartnerKeyError("PEM, but not `PUBLIC KEY`; a partner's private key is nobody else's")
    try:
        key = load_pem_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        raise PartnerKeyError("PEM, but no public key in it") from None
    if isinstance(key, ed25519.Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": encoded(key.public_bytes_raw())}
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        numbers = key.public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": _number(numbers.x, 32), "y": _number(numbers.y, 32)}
    if isinstance(key, rsa.RSAPublicKey):
        modulus, exponent = key.public_numbers().n, key.public_numbers().e
        return {"kty": "RSA", "n": _number(modulus), "e": _number(exponent)}
    raise PartnerKeyError("a public key, but neither Ed25519 nor P-256 nor RSA")


def _number(value: int, length: int | None = None) -> str:
    return encoded(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


def _is_pss(entry: dict[str, Any]) -> bool:
    return entry.get("kty") == "RSA" and entry.get("alg") == _PSS


def _one_line(raw: bytes) -> str:
    line = raw.removesuffix(b"\n").removesuffix(b"\r")
    if not _VISIBLE.fullmatch(line):
        raise PartnerKeyError("not one line of visible ASCII characters")
    return line.decode("ascii")


def material_of(key: PartnerKey) -> object:
    """Return what two equal keys have in common; a secret with the bytes of an Ed25519 public key is equal to it.

    It may be the secret itself: compare it, and show it to nobody.
    """
    if isinstance(key, SharedSecret):
        return key.secret
    public = key.key if isinstance(key, PublicKey | RsaPssKey) else None
    if isinstance(public, Ed25519Key):
        return bytes(public.key)
    return public.key.public_numbers() if isinstance(public, P256Key) else _numbers(public)


def _numbers(public: object) -> rsa.RSAPublicNumbers:
    assert isinstance(public, rsa.RSAPublicKey)  # noqa: S101 - the last kind there is
    return public.public_numbers()
