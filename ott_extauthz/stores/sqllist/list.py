"""Which tokens were used?  Remembered by a SQL database, for every process that shares it.

The transaction is in ``session.py``, the rules in ``judging.py``; what tells that a database forgot is in ``sqlite.py``
with ``witness.py``, and in ``postgres.py``.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import (
    Clock,
    Spend,
    SpendOutcome,
    StoreHealth,
    StoreServer,
    StoreState,
    Use,
    UsedListError,
    UsedListFault,
)
from ott_extauthz.sections.serving import ClockBounds
from ott_extauthz.sections.store import Store
from ott_extauthz.stores.sqllist.judging import Seen
from ott_extauthz.stores.sqllist.lane import MOST_SENDS, Database, Lane
from ott_extauthz.stores.sqllist.postgres import PostgresDatabase
from ott_extauthz.stores.sqllist.sqlite import SqliteDatabase

_CERTAIN: Final = frozenset({SpendOutcome.FIRST_USE, SpendOutcome.ALREADY_USED, SpendOutcome.FENCED})
"""Answers that say what to do with the token even if an earlier send of the call was carried out unseen."""


class SqlUsedList:
    """A used-list in one database, for one event loop."""

    def __init__(
        self, *, settings: Store, bounds: ClockBounds, clock: Clock, on_sweep_failed: Callable[[], None] = lambda: None
    ) -> None:
        """``on_sweep_failed`` is told each time what has ended could not be deleted: the tables grow meanwhile."""
        self._clock = clock
        self._longest = MOST_SENDS * settings.timeout / 1000
        self._database = _database(settings, bounds, clock)
        self._lane = Lane(self._database, limit=settings.timeout / 1000, on_sweep_failed=on_sweep_failed)
        # A look waits for a connection to be made, or refused with a reason; a spend could not afford to.
        self._look_limit = self._database.limit + self._longest

    async def start(self) -> None:
        """Connect and set the fence, so that the first use finds it in place; a store that is down shows in health."""
        await self.health()

    async def mark_used(self, use: Use, *, timeout: float) -> Spend:  # noqa: ASYNC109 - kept by the lane's alarm
        """Spend once: two transactions at most, each within the store's own time limit, both within ``timeout``."""
        if use.keep_until_ms <= use.now_ms:
            return Spend(SpendOutcome.EXPIRED)
        deadline = asyncio.get_running_loop().time() + min(timeout, self._longest)
        _, spend, unseen = await self._lane.ask(use, deadline)
        if spend is None:
            raise UsedListError(UsedListFault.REPLY, TokenState.UNKNOWN, "the use was not answered")
        if unseen and spend.outcome not in _CERTAIN:
            detail = f"first without an answer, then {spend.outcome.name}"
            raise UsedListError(UsedListFault.LOST, TokenState.UNKNOWN, detail)
        return spend

    async def health(self) -> StoreHealth:
        """Look, which sets the fence where there is none; say in one line what came of it."""
        try:
            now = asyncio.get_running_loop().time()
            await self._lane.ask(None, now + self._look_limit)  # this one also waits for the connection
            now_ms = self._clock.now_ms()
            seen, _, _ = await self._lane.ask(None, now + 2 * self._look_limit)
            health = self._judged(seen, now_ms)
            server = self._server(seen, now_ms, is_ready=health.ready)
        except UsedListError as error:
            health = StoreHealth(ready=False, detail=str(error))
            server = StoreServer(str(self._database), StoreState.UNREACHABLE)
        return StoreHealth(ready=health.ready, detail=f"{self._database}: {health.detail}", servers=(server,))

    async def close(self) -> None:
        """Fail what is under way and let go of the connections."""
        await self._lane.close()

    def _server(self, seen: Seen, now_ms: int, *, is_ready: bool) -> StoreServer:
        name, max_skew_ms = str(self._database), self._database.rules.max_skew_ms
        if seen.refusal is not None or seen.fence is None:
            return StoreServer(
                name, StoreState.REPLICA if seen.refusal is SpendOutcome.NOT_PRIMARY else StoreState.UNFIT
            )
        # Where the clock is one, what lies between the two is the time that the look took.
        ahead_ms = 0 if max_skew_ms is None else seen.now_ms - now_ms
        if max_skew_ms is not None and not abs(ahead_ms) <= max_skew_ms:
            return StoreServer(name, StoreState.CLOCK, seen.fence.since_ms, ahead_ms)
        return StoreServer(name, StoreState.WHOLE if is_ready else StoreState.UNFIT, seen.fence.since_ms, ahead_ms)

    def _judged(self, seen: Seen, now_ms: int) -> StoreHealth:
        rules = self._database.rules
        if seen.refusal is not None or seen.fence is None:
            return StoreHealth(ready=False, detail=seen.advice)
        ahead_ms = seen.now_ms - now_ms
        if rules.max_skew_ms is not None and not abs(ahead_ms) <= rules.max_skew_ms:
            side = "ahead of" if ahead_ms > 0 else "behind"
            detail = (
                f"its clock is {abs(ahead_ms)} ms {side} ours; mend NTP on either machine, "
                f"or clock.max_skew ({rules.max_skew_ms} ms)"
            )
            return StoreHealth(ready=False, detail=detail)
        whole_ms = seen.now_ms - seen.fence.since_ms
        if whole_ms < -rules.margin_ms:
            detail = f"its fence lies {-whole_ms} ms ahead of the clock; mend the clock, or start with empty tables"
            return StoreHealth(ready=False, detail=detail)
        if whole_ms <= rules.margin_ms:
            detail = (
                f"whole for {whole_ms} ms: tokens older than that and {rules.margin_ms} ms are refused as store_epoch"
            )
            return StoreHealth(ready=True, detail=detail)
        return StoreHealth(ready=True, detail=f"whole for {whole_ms // 1000} s")


def _database(settings: Store, bounds: ClockBounds, clock: Clock) -> Database:
    if settings.parts.scheme == "sqlite":
        return SqliteDatabase(settings, bounds, clock)
    return PostgresDatabase(settings, bounds)
