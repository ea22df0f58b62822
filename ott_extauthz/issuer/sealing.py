"""Who may read a token?  Sealed for an audience that published a key: the signed token within a JWE (RFC 7519 §11.2).

Sealed after it was signed: the audience proves to nobody what it could have changed.  ECDH-ES with A256GCM, a fresh
ephemeral key each time, and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwe import JWERegistry
from joserfc.jwk import ECKey, OKPKey

from ott_extauthz.authn.decryption import ALGORITHM, CURVES, is_for_sealing
from ott_extauthz.authn.sealed import CONTENT_ENCRYPTION
from ott_extauthz.authn.strict_json import NotStrictJsonError, object_from

_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_REGISTRY: Final = JWERegistry(algorithms=[ALGORITHM, CONTENT_ENCRYPTION])


class EncryptionKeyError(ValueError):
    """A key set that no token can be sealed with; says why."""


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """An audience's public key."""

    kid: str
    key: ECKey | OKPKey


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals tokens for the audiences that have a key; leaves the others' as they are."""

    keys: Mapping[str, EncryptionKey]

    def seal(self, audience: str, token: str) -> str:
        """Return the token as ``audience`` wants it."""
        found = self.keys.get(audience)
        if found is None:
            return token
        header = {"alg": ALGORITHM, "enc": CONTENT_ENCRYPTION, "kid": found.kid, "cty": "JWT"}
        return jwe.encrypt_compact(header, token, found.key, registry=_REGISTRY)


def encryption_key_from(document: bytes) -> EncryptionKey:
    """Return the first key of an audience's JWK Set that tokens can be sealed with: the newest, as we write them.

    Raises:
        EncryptionKeyError: there is none, or a private key stands in the set.
    """
    try:
        entries = object_from(document).get("keys")
    except NotStrictJsonError as error:
        raise EncryptionKeyError(f"not a JSON object: {error}") from None
    if not isinstance(entries, list):
        raise EncryptionKeyError("`keys` is not a list")
    for entry in entries:
        if not isinstance(entry, dict):
            raise EncryptionKeyError("a key is not an object")
        if _PRIVATE_MEMBERS & entry.keys():
            raise EncryptionKeyError("a private key; whoever published it has lost it")
    for entry in entries:
        if entry.get("use") == "enc" and entry.get("crv") in CURVES and is_for_sealing(entry):
            return _imported(entry)
    raise EncryptionKeyError("no key with `use: enc` on P-256 or X25519")


def _imported(entry: dict[str, Any]) -> EncryptionKey:
    kid = entry.get("kid")
    if not isinstance(kid, str) or not kid:
        raise EncryptionKeyError("the key has no `kid`")
    try:
        return EncryptionKey(kid, (ECKey if entry.get("kty") == "EC" else OKPKey).import_key(entry))
    except (JoseError, ValueError, TypeError, KeyError):
        raise EncryptionKeyError("not a valid key") from None
