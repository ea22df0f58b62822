"""Which tokens were used?  Remembered by one Redis or Valkey primary, for every process that shares it.

The promise is the script's (``script.py``); this file turns the port's words into calls of it.
"""

import asyncio

from ott_extauthz.ports import Clock, Spend, SpendOutcome, StoreHealth, Use
from ott_extauthz.sections.serving import ClockBounds
from ott_extauthz.sections.store import Store
from ott_extauthz.stores.redislist.node import Node, fence_margin_ms
from ott_extauthz.stores.redislist.script import SpendScript
from ott_extauthz.stores.redislist.spending import Spending


class RedisUsedList:
    """A used-list on one primary, for one event loop."""

    def __init__(self, *, settings: Store, bounds: ClockBounds, clock: Clock) -> None:
        self._clock, self._bounds = clock, bounds
        self._margin_ms = fence_margin_ms(bounds)
        self._script = SpendScript(max_skew_ms=bounds.max_skew, margin_ms=self._margin_ms)
        self._node = Node(settings)
        self._spending = Spending(self._script, [self._node])

    async def start(self) -> None:
        """Connect and set the fence, so that the first use finds it in place; a store that is down shows in health."""
        await self.health()

    async def mark_used(self, use: Use, *, timeout: float) -> Spend:  # noqa: ASYNC109 - kept by the lane's alarm
        """Spend once: two sends at most, each within the store's own time limit, both within ``timeout``."""
        if use.keep_until_ms <= use.now_ms:
            return Spend(SpendOutcome.EXPIRED)
        deadline = asyncio.get_running_loop().time() + min(timeout, self._node.longest)
        return await self._spending.begin(use, deadline)

    async def health(self) -> StoreHealth:
        """Do steps 1 to 3 of the script, which set the fence where there is none; say in one line what came of it."""
        return await self._node.look([self._script], self._clock, self._bounds, self._margin_ms)

    async def close(self) -> None:
        """Fail what is under way and let go of the connection."""
        await self._node.close()
