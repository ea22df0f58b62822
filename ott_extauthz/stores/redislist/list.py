"""Which tokens were used?  Remembered by a Redis or Valkey primary, for every process that shares it.

The promise is the script's (``script.py``); this file turns the port's words into calls of it and its answers into the
port's words.  The fence's margin is ``a + m + 2c``: how far a token's iat may lead its caller (a), how far the store's
clock may be from a caller's (m), and how far each of two callers may be from true time (c, taken to be m).
"""

import asyncio
from typing import Final

import hiredis

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import Clock, SpendOutcome, StoreHealth, Use, UsedListError, UsedListFault
from ott_extauthz.settings import ClockBounds, Store
from ott_extauthz.stores.redislist import refusals, report, script
from ott_extauthz.stores.redislist.connecting import Connector
from ott_extauthz.stores.redislist.lane import MOST_SENDS, Lane

_CERTAIN: Final = frozenset({SpendOutcome.FIRST_USE, SpendOutcome.ALREADY_USED, SpendOutcome.FENCED})
"""Answers that say what to do with the token even if an earlier send of the call was carried out unseen."""


def fence_margin_ms(bounds: ClockBounds) -> int:
    """Return the least margin that keeps the promise with these bounds."""
    return bounds.iat_lead + bounds.max_skew + 2 * bounds.max_skew


class RedisUsedList:
    """A used-list on one primary, for one event loop."""

    def __init__(self, *, settings: Store, bounds: ClockBounds, clock: Clock) -> None:
        self._clock = clock
        self._max_skew_ms, self._margin_ms = bounds.max_skew, fence_margin_ms(bounds)
        self._script = script.SpendScript(max_skew_ms=self._max_skew_ms, margin_ms=self._margin_ms)
        self._longest = MOST_SENDS * settings.timeout / 1000
        self._connector = Connector(settings)
        self._lane = Lane(self._connector, limit=settings.timeout / 1000)
        # A look waits for a connection to be made, or refused with a reason; a spend could not afford to.
        self._look_limit = self._connector.limit + self._longest

    async def start(self) -> None:
        """Connect and set the fence, so that the first use finds it in place; a store that is down shows in health."""
        await self.health()

    async def mark_used(self, use: Use, *, timeout: float) -> SpendOutcome:  # noqa: ASYNC109 - kept by the lane's alarm
        """Spend once: two sends at most, each within the store's own time limit, both within ``timeout``."""
        if use.keep_until_ms <= use.now_ms:
            return SpendOutcome.EXPIRED
        deadline = asyncio.get_running_loop().time() + min(timeout, self._longest)
        command = self._script.spend(use)
        reply, unseen = await self._lane.ask(command, deadline)
        if _is_without_script(reply) and not unseen:
            reply, unseen = await self._ask_with_script(command, deadline)
        outcome = script.outcome_from(reply, use)
        if outcome is None:
            outcome = self._refused(reply, unseen)
        if unseen and outcome not in _CERTAIN:
            raise UsedListError(UsedListFault.LOST, TokenState.UNKNOWN, f"first without an answer, then {outcome.name}")
        return outcome

    async def health(self) -> StoreHealth:
        """Do steps 1 to 3 of the script, which set the fence where there is none; say in one line what came of it."""
        try:
            health = await self._looked()
        except UsedListError as error:
            health = StoreHealth(ready=False, detail=str(error))
        return StoreHealth(ready=health.ready, detail=f"{self._connector.place}: {health.detail}")

    async def close(self) -> None:
        """Fail what is under way and let go of the connection."""
        await self._lane.close()

    async def _ask_with_script(self, command: bytes, deadline: float) -> tuple[object, int]:
        """Load the script, which the store has forgotten since we connected (SCRIPT FLUSH), and ask again."""
        await self._lane.ask(script.LOAD, deadline)
        return await self._lane.ask(command, deadline)

    def _refused(self, reply: object, unseen: int) -> SpendOutcome:
        if isinstance(reply, hiredis.ReplyError):
            return refusals.outcome_of(reply, unseen=unseen)
        self._lane.distrust("a reply did not fit its call")
        raise UsedListError(UsedListFault.REPLY, TokenState.UNKNOWN, "the store's reply is not the script's")

    async def _looked(self) -> StoreHealth:
        # The first call also waits for the connection, so that the second one's time is fresh when it arrives.
        deadline = asyncio.get_running_loop().time() + self._look_limit
        reply, _ = await self._lane.ask(script.VERSION, deadline)
        server = report.server_from(reply)
        if server is None:
            return _unfit(reply)
        if server.is_too_old:
            return StoreHealth(ready=False, detail=f"{server.name} is too old; Redis 7.0 or Valkey is needed")
        now_ms = self._clock.now_ms()
        command = self._script.look(now_ms)
        reply, _ = await self._lane.ask(command, deadline)
        if _is_without_script(reply):
            reply, _ = await self._ask_with_script(command, deadline)
        look = script.look_from(reply)
        if look is None:
            return _unfit(reply)
        return report.health_from(
            look, server=server, now_ms=now_ms, max_skew_ms=self._max_skew_ms, margin_ms=self._margin_ms
        )


def _is_without_script(reply: object) -> bool:
    return isinstance(reply, hiredis.ReplyError) and refusals.code_of(reply) == refusals.NOSCRIPT


def _unfit(reply: object) -> StoreHealth:
    detail = refusals.advice(reply) if isinstance(reply, hiredis.ReplyError) else "its answer is not the script's"
    return StoreHealth(ready=False, detail=detail)
