"""Which keys are our own?  The public keys of every ring, to know tokens of ours again."""

from collections.abc import Mapping
from functools import lru_cache
from itertools import chain

from ott_extauthz.authn.jwks import keys_from
from ott_extauthz.authn.keys import TrustedIssuer, VerificationKey
from ott_extauthz.ports import KeyRing

_CACHED = 64  # key sets: a ring has few, and each until it turns


def own_issuer(issuer: str, rings: Mapping[str, KeyRing]) -> TrustedIssuer:
    """Return the issuer itself as one whose tokens are believed, with the keys that its rings publish now."""
    keys: dict[str, VerificationKey] = {}
    for ring in rings.values():
        keys |= _keys(ring.jwks)
    return TrustedIssuer(issuer, frozenset(chain.from_iterable(key.algorithms for key in keys.values())), keys)


@lru_cache(maxsize=_CACHED)
def _keys(jwks: bytes) -> Mapping[str, VerificationKey]:
    return keys_from(jwks)
