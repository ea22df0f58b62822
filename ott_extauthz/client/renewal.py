"""What is done about a refused token?  Old ones are thrown away, a stolen one is told, and there is another one."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from ott_extauthz.client.pool import TokenPool
from ott_extauthz.client.refusal import EXPIRED, REPLAYED, TokenRefused
from ott_extauthz.ports import TokenWanted

Origins = Mapping[str, TokenWanted]
"""Which token each origin (``https://wallet.api``, ``http://127.0.0.1:8080``) gets.  Any other one gets none."""

_LOG: Final = logging.getLogger("ott_extauthz.client")


def log_replayed(refused: TokenRefused) -> None:
    """Log that a token was used before we used it; names the decision, never the token."""
    _LOG.warning("a token was replayed before we sent it; decision %s", refused.decision_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """Takes tokens from a pool, and reacts to what a proxy says of them; ``on_replayed`` hears of a replayed one."""

    pool: TokenPool
    on_replayed: Callable[[TokenRefused], None] = log_replayed

    async def token(self, wanted: TokenWanted) -> str:
        """Return a fresh token.

        Raises:
            TokenSourceError: there is none.
        """
        return (await self.pool.take(wanted)).text

    def refused(self, wanted: TokenWanted, refused: TokenRefused) -> None:
        """Learn from a refusal; the next token will be a better one."""
        if refused.code == EXPIRED:
            self.pool.discard(wanted)
        elif refused.code == REPLAYED:
            self.on_replayed(refused)


def origin_of(url: str) -> str:
    """Return the origin of a URL, without a default port; what a call is matched by, and nothing else of it."""
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in (None, default) else "")


def checked(origins: Origins) -> Origins:
    """Return the origins as calls are matched by them.

    Raises:
        ValueError: one is not an origin, which no call would ever match.
    """
    for origin in origins:
        if origin_of(origin) != origin:
            raise ValueError(f"not an origin as it is compared: {origin}; write {origin_of(origin)}")
    return dict(origins)
