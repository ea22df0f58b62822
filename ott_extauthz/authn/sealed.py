"""Is this token sealed for us, and what is in it?  JWE around a JWS (RFC 7516, RFC 7519 §11.2): opened, not believed.

- One pair of algorithms: ECDH-ES with A256GCM.  No ``zip`` (no bombs), no password or RSA ways to a key, no ``crit``:
  a header with a member that we do not read is refused.
- The ephemeral key lies on our key's own curve (RFC 7518 §4.6.2): a point off it tells of our key (CVE-2017-16007).
- Sealed once: what is inside is the token, and goes through everything that a token goes through.
- A token in three parts costs one look for dots.
"""

from collections.abc import Callable
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwe import JWERegistry

from ott_extauthz.authn.base64url import decoded
from ott_extauthz.authn.decryption import ALGORITHM, DecryptionKey, DecryptionKeys
from ott_extauthz.authn.strict_json import NotStrictJsonError, object_from
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import MAX_TOKEN_BYTES

CONTENT_ENCRYPTION: Final = "A256GCM"
MAX_SEALED_BYTES: Final = MAX_TOKEN_BYTES * 4 // 3 + 1024
"""The longest token, in base64url once more, and a JOSE header with its ephemeral key."""

_DOTS: Final = 4
_MEMBERS: Final = frozenset({"alg", "enc", "kid", "cty", "typ", "epk"})
_COORDINATES: Final = {"P-256": frozenset({"kty", "crv", "x", "y"}), "X25519": frozenset({"kty", "crv", "x"})}
_IV_BYTES: Final = 12
_TAG_BYTES: Final = 16


Unseal = Callable[[str, bool], str | Rejection]
"""Makes of what was presented, and whether it must be sealed, the token itself."""


def unsealed_without_keys(text: str, is_demanded: bool) -> str | Rejection:  # noqa: FBT001 - as Unseal has it
    """Judge as a server that has no keys."""
    return plain_from(text, {}, is_demanded=is_demanded)


def plain_from(text: str, keys: DecryptionKeys, *, is_demanded: bool) -> str | Rejection:
    """Return the token itself, opened where it is sealed; ``is_demanded`` refuses one that is not."""
    if text.count(".") != _DOTS:
        return Rejection(Reason.TOKEN_NOT_ENCRYPTED) if is_demanded else text
    found = _opened(text, keys)
    return Rejection(found) if isinstance(found, Reason) else found


def _opened(text: str, keys: DecryptionKeys) -> str | Reason:
    if len(text) > MAX_SEALED_BYTES:
        return Reason.TOKEN_TOO_LARGE
    header, encrypted_key, iv, ciphertext, tag = text.split(".")
    if encrypted_key or not ciphertext or _length(iv) != _IV_BYTES or _length(tag) != _TAG_BYTES:
        return Reason.TOKEN_MALFORMED
    members = _header_from(header)
    if isinstance(members, Reason):
        return members
    key = keys.get(members["kid"])
    if key is None:
        return Reason.TOKEN_ENCRYPTION_KEY_UNKNOWN
    if not _fits(members["epk"], key):
        return Reason.TOKEN_ENCRYPTION_REFUSED
    try:
        content = jwe.decrypt_compact(text, key, registry=_REGISTRY).plaintext
        return "" if content is None else content.decode("ascii")
    except (JoseError, InvalidTag, ValueError, TypeError, AssertionError, OverflowError):
        return Reason.TOKEN_DECRYPTION_FAILED


_REGISTRY: Final = JWERegistry(algorithms=[ALGORITHM, CONTENT_ENCRYPTION])


def _length(part: str) -> int:
    raw = decoded(part)
    return -1 if raw is None else len(raw)


def _header_from(part: str) -> dict[str, Any] | Reason:
    raw = decoded(part)
    if not raw:
        return Reason.TOKEN_MALFORMED
    try:
        members = object_from(raw)
    except NotStrictJsonError:
        return Reason.TOKEN_MALFORMED
    type_ = members.get("typ", "JWT")
    if (
        not members.keys() <= _MEMBERS
        or (members.get("alg"), members.get("enc")) != (ALGORITHM, CONTENT_ENCRYPTION)
        or str(members.get("cty")).upper() != "JWT"  # RFC 7519 §5.2: a must for what is nested
        or str(type_).upper() != "JWT"
        or not isinstance(members.get("kid"), str)
        or not isinstance(members.get("epk"), dict)
    ):
        return Reason.TOKEN_ENCRYPTION_REFUSED
    return members


def _fits(ephemeral: dict[str, Any], key: DecryptionKey) -> bool:
    """Whether this is a public key on the curve of ``key``, by its words; the point is judged where it is used."""
    return (
        ephemeral.keys() == _COORDINATES[key.curve_name]
        and all(isinstance(value, str) for value in ephemeral.values())
        and (ephemeral["kty"], ephemeral["crv"]) == (key.key_type, key.curve_name)
    )
