"""Is a key trusted for JWS and for PASETO?  A key is for one format ("algorithm lucidity"), wherever its copies lie.

PASETO v4.public signs with Ed25519 alone, so other keys cannot be shared.  ``kid`` is a name, and compared nowhere.

What another issuer shows at a URL is its own word and no reason to refuse anybody else's keys: public keys are public,
and whoever shows a key that is not its own would keep its owner from rotating to it.
"""

from collections.abc import Iterable, Iterator, Mapping

from ott_extauthz.authn.followed_keys import FollowedKeys
from ott_extauthz.authn.keys import Ed25519Key, TrustedIssuer


def of_both_formats(issuer: TrustedIssuer, others: Iterable[TrustedIssuer]) -> Iterator[str]:
    """Yield what is wrong with the keys of an issuer where ``others`` are those trusted for the other format."""
    own = _material(issuer)
    for other in others:
        if other.issuer != issuer.issuer and isinstance(other.keys, FollowedKeys):
            continue
        for key in sorted(own.keys() & _material(other).keys(), key=own.__getitem__):
            yield f"the key {own[key]!r} is trusted for the other format, too, of {other.issuer}; a key is for one"


def _material(issuer: TrustedIssuer) -> Mapping[bytes, str]:
    return {bytes(key.key): kid for kid, key in issuer.keys.items() if isinstance(key, Ed25519Key)}
