"""Does the published JWK Set go with the ring?  Public halves, each believed only under the thumbprint of its content.

A writer that was killed leaves at most a key too many in ``jwks.json``: one that the ring has just retired, or a new
one that the ring does not name yet and whose private key lies beside it.  Anything else was not written by us.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.issuer.key_change import KeyState
from ott_extauthz.stores.keyring.place import RESTORE, KeyFileError, Place
from ott_extauthz.stores.keyring.ring_file import Keys, json_in, pretty
from ott_extauthz.stores.keyring.schedule import published

Jwk = dict[str, str]

_REQUIRED: Final = {"OKP": ("crv", "kty", "x"), "EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}  # RFC 7638


class _KeySet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: tuple[Jwk, ...]


def public_keys(place: Place, keys: Keys) -> dict[str, Jwk]:
    """Return the public halves of all published keys, by ``kid``.

    Raises:
        KeyFileError: the set lacks one, or holds what neither the ring nor a killed writer explains.
    """
    found = json_in(place.jwks, _KeySet).keys
    jwks = {jwk.get("kid", ""): jwk for jwk in found}
    wanted = {key.kid: jwks.get(key.kid) for key in published(keys)}
    algorithms = {key.kid: key.alg for key in keys}
    rest = {kid: jwk for kid, jwk in jwks.items() if kid not in wanted}
    is_whole = len(jwks) == len(found) and all(
        jwk is not None and _is_public(jwk, kid) and jwk["alg"] == algorithms[kid] for kid, jwk in wanted.items()
    )
    if not is_whole or not _are_explained(place, keys, rest):
        raise KeyFileError(place.jwks, "is not the public half of the ring's keys", RESTORE)
    return {kid: jwk for kid, jwk in wanted.items() if jwk is not None}


def has_leftovers(place: Place, keys: Keys) -> bool:
    """Whether the set holds a key that the ring does not publish; how it is laid out does not matter."""
    return len(json_in(place.jwks, _KeySet).keys) > len(published(keys))


def key_set_json(keys: Keys, public: Mapping[str, Jwk]) -> bytes:
    """Return the content of ``jwks.json``: the published keys, in the ring's order."""
    return pretty({"keys": [public[key.kid] for key in published(keys)]})


def _are_explained(place: Place, keys: Keys, rest: Mapping[str, Jwk]) -> bool:
    gone = {key.kid for key in keys if key.state is KeyState.RETIRED}
    explained = gone | place.private_kids() if rest else gone
    return all(kid in explained and _is_public(jwk, kid) for kid, jwk in rest.items())


def _is_public(jwk: Jwk, kid: str) -> bool:
    required = _REQUIRED.get(jwk.get("kty", ""), ())
    if not required or jwk.keys() != {*required, "kid", "use", "alg"} or jwk["use"] != "sig":
        return False
    members: dict[str, Any] = {name: jwk[name] for name in required}
    return encoded(hashlib.sha256(msgspec.json.encode(members, order="sorted")).digest()) == kid
