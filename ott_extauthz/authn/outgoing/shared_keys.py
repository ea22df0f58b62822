"""Which of the keys that sign what leaves would also let a request in?

With one key for both directions every request that we sign for a partner is one that we take from it: whoever sees it
on its way, or has us send it to ourselves (a webhook's address is often the receiver's to choose), brings it back, and
its nonce is new to us.
"""

from collections.abc import Iterator, Mapping

from ott_extauthz.authn.outgoing.signing_keys import (
    Ed25519Maker,
    Maker,
    P256Maker,
    RsaPssMaker,
    SecretMaker,
    SigningKey,
)
from ott_extauthz.authn.partner_keys import material_of
from ott_extauthz.authn.partners import Partners

_ED25519_SEED_BYTES = 32


def shared_keys(ours: Mapping[str, SigningKey], partners: Partners) -> Iterator[tuple[str, str]]:
    """Yield the name of each key of ours that a partner has as well, and of that partner."""
    theirs = {material_of(key): partner.name for partner in partners.values() for key in partner.keys}
    for name, key in ours.items():
        owner = theirs.get(_material(key.maker))
        if owner is not None:
            yield name, owner


def _material(maker: Maker) -> object:
    """Return what verifies the key's signatures, as ``material_of`` has it."""
    match maker:
        case SecretMaker(secret=secret):
            return secret
        case Ed25519Maker(secret=secret):
            return secret[_ED25519_SEED_BYTES:]
        case P256Maker(key=p256):
            return p256.public_key().public_numbers()
        case RsaPssMaker(key=rsa):
            return rsa.public_key().public_numbers()
        case _:
            raise TypeError("a maker of a kind that has no material")
