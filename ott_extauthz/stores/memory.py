"""Which tokens were used?  Remembered by this process alone, and forgotten with it.

- The fence stands at the moment the list was made: a restart forgets, so nothing issued up to then is vouched for.
- Its margin is ``iat_lead`` alone.  The list shares the caller's clock, so there is no second clock to be wrong about.
- Nothing is forgotten while a clock, having jumped back, could still find the token valid: the latest instant ever seen
  decides what has expired, for the refusal and for the sweep alike; and it is the clock of the counters.
"""

import heapq
from typing import Final

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import (
    OWN_WRITE_MS,
    Clock,
    FirstUse,
    Spend,
    SpendOutcome,
    StoreHealth,
    StoreServer,
    StoreState,
    Use,
    UsedListError,
    UsedListFault,
)
from ott_extauthz.stores.counting import Counter, Counters, counter_name

SWEEP_PER_USE: Final = 4
"""Expired entries dropped per use, and per charge: more than the one it may add, so that the list shrinks; few, so that
no one use pays for all."""


class MemoryUsedList:
    """A used-list for one process: a demo, a test, a single server that may refuse everything older than its start."""

    def __init__(self, *, clock: Clock, iat_lead_ms: int) -> None:
        self._latest_ms = clock.now_ms()
        self._since_ms = self._latest_ms
        self._fence_ms = self._latest_ms + iat_lead_ms
        self._uses: dict[bytes, tuple[bytes, FirstUse]] = {}
        self._expiries: list[tuple[int, bytes]] = []
        self._counters: dict[bytes, Counter] = {}
        self._counters_ends: list[tuple[int, bytes]] = []
        self._is_closed = False

    async def start(self) -> None:
        """Do nothing: the fence was set when the list was made, before anyone could use it."""

    async def mark_used(self, use: Use, *, timeout: float) -> Spend:  # noqa: ARG002, ASYNC109 - the port's; no wait here
        """Spend once.  There is no await in here: that is what makes it atomic among the tasks of one event loop."""
        if self._is_closed:
            raise UsedListError(UsedListFault.CLOSED, TokenState.UNSPENT, "the used-list is closed")
        self._latest_ms = max(self._latest_ms, use.now_ms)
        self._sweep()
        self._sweep_counters(SWEEP_PER_USE * len(use.charges))
        if use.issued_at_ms <= self._fence_ms:
            return Spend(SpendOutcome.FENCED)
        if use.keep_until_ms <= self._latest_ms:
            return Spend(SpendOutcome.EXPIRED)
        return self._remember(use)

    def _remember(self, use: Use) -> Spend:
        found = self._uses.get(use.key)
        if found is None:
            return self._charge(use) or self._spend(use)
        nonce, first = found
        if nonce == use.nonce and self._latest_ms - first.at_ms <= OWN_WRITE_MS:
            return Spend(SpendOutcome.FIRST_USE)
        return Spend(SpendOutcome.ALREADY_USED, first)

    def _spend(self, use: Use) -> Spend:
        self._uses[use.key] = (use.nonce, FirstUse(self._latest_ms, use.witness))
        heapq.heappush(self._expiries, (use.keep_until_ms, use.key))
        return Spend(SpendOutcome.FIRST_USE)

    def _charge(self, use: Use) -> Spend | None:
        known = {counter_name(charge) for charge in use.charges} & self._counters.keys()
        counters = Counters(
            held=self._counters, now_ms=self._latest_ms, fence_ms=self._fence_ms, ended_ms=self._latest_ms
        )
        refusal = counters.take(use.charges)
        for name in counters.changed - known:
            heapq.heappush(self._counters_ends, (self._counters[name].keep_until_ms, name))
        return refusal

    def _sweep_counters(self, most: int) -> None:
        """Drop counters that need not be kept; one that was touched since its end was noted has a later one."""
        for _ in range(most):
            if not self._counters_ends or self._counters_ends[0][0] > self._latest_ms:
                return
            _, name = heapq.heappop(self._counters_ends)
            if self._counters[name].keep_until_ms > self._latest_ms:
                heapq.heappush(self._counters_ends, (self._counters[name].keep_until_ms, name))
            else:
                del self._counters[name]

    def _sweep(self) -> None:
        for _ in range(SWEEP_PER_USE):
            if not self._expiries or self._expiries[0][0] > self._latest_ms:
                return
            _, key = heapq.heappop(self._expiries)
            del self._uses[key]

    async def health(self) -> StoreHealth:
        """Say that it serves, and what an operator should know of it."""
        return self.look()

    def look(self) -> StoreHealth:
        """Return the same at once: nobody need be asked."""
        if self._is_closed:
            return StoreHealth(ready=False, detail="memory, closed")
        server = StoreServer("memory", StoreState.WHOLE, self._since_ms, 0)
        detail = f"memory of this process alone, {len(self._uses)} uses remembered"
        return StoreHealth(ready=True, detail=detail, servers=(server,))

    async def close(self) -> None:
        """Forget everything; a list made later starts with a fence of its own."""
        self._is_closed = True
        self._uses.clear()
        self._expiries.clear()
        self._counters.clear()
        self._counters_ends.clear()
