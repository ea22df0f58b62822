"""Which keys open tokens that were sealed for us?  Private keys on P-256 or X25519, as PEM or JWK, by ``kid``.

They open tokens and do nothing else: a key whose JWK says that it signs is refused.
"""

from collections.abc import Mapping
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

from ott_extauthz.authn.strict_json import NotStrictJsonError, object_from

DecryptionKey = ECKey | OKPKey
DecryptionKeys = Mapping[str, DecryptionKey]

CURVES: Final = frozenset({"P-256", "X25519"})
ALGORITHM: Final = "ECDH-ES"
_AGREEING: Final = frozenset({"deriveKey", "deriveBits"})


class DecryptionKeyError(ValueError):
    """No key that opens tokens; says why, and nothing of the key."""


def decryption_key_from(document: bytes) -> tuple[str, DecryptionKey]:
    """Return a private key and its ``kid``: the JWK's own, or its RFC 7638 thumbprint.

    Raises:
        DecryptionKeyError: it is none.
    """
    is_pem = document.lstrip().startswith(b"-----BEGIN")
    key, kid = _from_pem(document) if is_pem else _from_jwk(document)
    if not key.is_private:
        raise DecryptionKeyError("a public key; opening needs the private one")
    if key.curve_name not in CURVES:
        raise DecryptionKeyError(f"a key on {key.curve_name}; tokens are opened with P-256 or X25519")
    return kid or key.thumbprint(), key


def is_for_sealing(members: Mapping[str, Any]) -> bool:
    """Whether a JWK says nothing against agreeing on keys by ECDH-ES (RFC 7517 §4.2 to §4.4)."""
    operations = members.get("key_ops", ["deriveKey"])
    return (
        members.get("use", "enc") == "enc"
        and members.get("alg", ALGORITHM) == ALGORITHM
        and isinstance(operations, list)
        and (not operations or not _AGREEING.isdisjoint(map(str, operations)))
    )


def _from_pem(document: bytes) -> tuple[DecryptionKey, None]:
    for kind in (ECKey, OKPKey):
        try:
            return kind.import_key(document), None
        except (JoseError, ValueError, TypeError, AttributeError):  # their texts may quote what they read
            continue
    raise DecryptionKeyError("not an unencrypted PEM private key on P-256 or X25519")


def _from_jwk(document: bytes) -> tuple[DecryptionKey, str | None]:
    try:
        members = object_from(document)
        key: DecryptionKey = (ECKey if members.get("kty") == "EC" else OKPKey).import_key(members)
    except (JoseError, NotStrictJsonError, ValueError, TypeError, KeyError, AttributeError):
        raise DecryptionKeyError("neither a PEM nor a JWK private key on P-256 or X25519") from None
    kid = members.get("kid")
    if kid is not None and (not isinstance(kid, str) or not kid):
        raise DecryptionKeyError("`kid` is no text")
    if not is_for_sealing(members):
        raise DecryptionKeyError("its `use`, `alg` or `key_ops` say that it is for something else")
    return key, kid
