"""Which keys does the issuer publish?  One JWK Set of all rings, and one for each ring (RFC 7517 §5)."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec
from aiohttp import web

from ott_extauthz.issuer.order import DEFAULT_RING, DEFAULT_RING_TITLE
from ott_extauthz.ports import KeyRing

LONGEST_AGE_SECONDS: Final = 300
_MEDIA_TYPE: Final = "application/jwk-set+json"


class PublishedKeys:
    """Answers for all rings; each request gets what the rings hold now.

    ``max_age_seconds`` is how long a verifier may keep an answer: less than a new key is published before it signs.
    """

    def __init__(self, rings: Mapping[str, KeyRing], *, max_age_seconds: int = LONGEST_AGE_SECONDS) -> None:
        self._rings = rings
        self._headers = {"Cache-Control": f"public, max-age={max_age_seconds}"}

    async def of_all_rings(self, _: web.Request) -> web.Response:
        """Show the public keys to whoever asks, certificate or not."""
        return self._answer(union_of(tuple(ring.jwks for ring in self._rings.values())))

    async def of_one_ring(self, request: web.Request) -> web.Response:
        """Show one ring's keys; a verifier that trusts a single brand or region takes no other's."""
        name = request.match_info["ring"]
        ring = self._rings.get(DEFAULT_RING if name == DEFAULT_RING_TITLE else name)
        if ring is None or name == DEFAULT_RING:
            raise web.HTTPNotFound
        return self._answer(ring.jwks)

    def _answer(self, jwks: bytes) -> web.Response:
        return web.Response(body=jwks, content_type=_MEDIA_TYPE, headers=self._headers)


@lru_cache(maxsize=8)
def union_of(sets: tuple[bytes, ...]) -> bytes:
    """Return one JWK Set with the keys of all, each `kid` once: it is a thumbprint, so one `kid` is one key."""
    if len(sets) == 1:
        return sets[0]
    keys: dict[str, Any] = {}
    for text in sets:
        for key in msgspec.json.decode(text)["keys"]:
            keys.setdefault(key["kid"], key)
    return msgspec.json.encode({"keys": list(keys.values())})
