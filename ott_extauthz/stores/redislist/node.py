"""What does one server say of a use?  A lane to it, and what its answers mean; every deployment is made of these."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import hiredis

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import Clock, Spend, SpendOutcome, StoreHealth, Use, UsedListError, UsedListFault
from ott_extauthz.settings import ClockBounds, Store
from ott_extauthz.stores.redislist import refusals, report, script
from ott_extauthz.stores.redislist.connecting import Connector
from ott_extauthz.stores.redislist.lane import MOST_SENDS, Answer, Lane, answered
from ott_extauthz.stores.redislist.link import Call
from ott_extauthz.stores.redislist.places import Place
from ott_extauthz.stores.redislist.replication import Replication

_CERTAIN: Final = frozenset({SpendOutcome.FIRST_USE, SpendOutcome.ALREADY_USED, SpendOutcome.FENCED})
"""Answers that say what to do with the token even if an earlier send of the call was carried out unseen."""


def fence_margin_ms(bounds: ClockBounds) -> int:
    """Return the least margin that keeps the promise with these bounds: ``a + m + 2c``.

    How far a token's iat may lead its caller (a), how far the store's clock may be from a caller's (m), and how far
    each of two callers may be from true time (c, taken to be m).
    """
    return bounds.iat_lead + bounds.max_skew + 2 * bounds.max_skew


class Node:
    """One server, for one event loop."""

    def __init__(self, settings: Store, place: Place | None = None) -> None:
        connector = Connector(settings, place)
        self.place = connector.place
        self.longest = MOST_SENDS * settings.timeout / 1000
        # A look waits for a connection to be made, or refused with a reason; a spend could not afford to.
        self._look_limit = connector.limit + self.longest
        self._replication = Replication.of(settings)
        barrier = self._replication.barrier if self._replication else None
        self._lane = Lane(connector, limit=settings.timeout / 1000, barrier=barrier)

    async def spend(self, use: Use, command: bytes, deadline: float) -> Spend:
        """Have ``command``, which spends ``use``, carried out.

        Raises:
            UsedListError: there was no answer, or not one to rely on.
        """
        answer = await self._lane.ask(command, deadline)
        if is_without_script(answer.reply) and not answer.unseen:
            answer = await self._ask_with_script(command, deadline)
        return self._judged(use, answer)

    def post(self, use: Use, command: bytes, deadline: float, tell: Callable[[Spend | UsedListError], None]) -> None:
        """Do the same without waiting: ``tell`` is called once, at ``deadline`` at the latest."""

        def done(call: Call, *, may_load: bool) -> None:
            try:
                answer = answered(call)
                if may_load and is_without_script(answer.reply) and not answer.unseen:
                    self._lane.post(script.LOAD, deadline).reply.add_done_callback(_look_away)
                    sent(may_load=False)
                    return
                tell(self._judged(use, answer))
            except UsedListError as error:
                tell(error)

        def sent(*, may_load: bool) -> None:
            call = self._lane.post(command, deadline)
            call.reply.add_done_callback(lambda _: done(call, may_load=may_load))

        try:
            sent(may_load=True)
        except UsedListError as error:
            tell(error)

    async def look(
        self, scripts: Sequence[script.SpendScript], clock: Clock, bounds: ClockBounds, margin_ms: int
    ) -> StoreHealth:
        """Do steps 1 to 3 of every script, which set the fence where there is none; say in one line what came of it."""
        try:
            health = await self._looked(scripts, clock, bounds, margin_ms)
        except UsedListError as error:
            health = StoreHealth(ready=False, detail=str(error))
        return StoreHealth(ready=health.ready, detail=f"{self.place}: {health.detail}")

    async def close(self) -> None:
        """Fail what is under way and let go of the connection."""
        await self._lane.close()

    async def _ask_with_script(self, command: bytes, deadline: float) -> Answer:
        """Load the script, which the store has forgotten since we connected (SCRIPT FLUSH), and ask again."""
        await self._lane.ask(script.LOAD, deadline)
        return await self._lane.ask(command, deadline)

    def _judged(self, use: Use, answer: Answer) -> Spend:
        spend = script.spend_from(answer.reply, use) or Spend(self._refused(answer))
        if answer.unseen and spend.outcome not in _CERTAIN:
            detail = f"first without an answer, then {spend.outcome.name}"
            raise UsedListError(UsedListFault.LOST, TokenState.UNKNOWN, detail)
        if self._replication is not None and spend.outcome is SpendOutcome.FIRST_USE:
            self._replication.check(answer)
        return spend

    def _refused(self, answer: Answer) -> SpendOutcome:
        if isinstance(answer.reply, hiredis.ReplyError):
            return refusals.outcome_of(answer.reply, unseen=answer.unseen)
        self._lane.distrust("a reply did not fit its call")
        raise UsedListError(UsedListFault.REPLY, TokenState.UNKNOWN, "the store's reply is not the script's")

    async def _looked(
        self, scripts: Sequence[script.SpendScript], clock: Clock, bounds: ClockBounds, margin_ms: int
    ) -> StoreHealth:
        # The first call also waits for the connection, so that the second one's time is fresh when it arrives.
        deadline = asyncio.get_running_loop().time() + self._look_limit
        reply = (await self._lane.ask(script.VERSION, deadline)).reply
        server = report.server_from(reply)
        if server is None:
            return _unfit(reply)
        if server.is_too_old:
            return StoreHealth(ready=False, detail=f"{server.name} is too old; Redis 7.0 or Valkey is needed")
        await self._load_if_forgotten(scripts[0].look(0), deadline)
        now_ms = clock.now_ms()
        calls = [self._lane.post(each.look(now_ms), deadline) for each in scripts]
        for call in calls:
            call.reply.add_done_callback(_look_away)  # should this look be given up, nobody asks for them any more
        await asyncio.wait([call.reply for call in calls])
        worst: StoreHealth | None = None
        youngest = -1
        for call in calls:
            look = script.look_from(answered(call).reply)
            if look is None:
                return _unfit(answered(call).reply)
            health = report.health_from(
                look, server=server, now_ms=now_ms, max_skew_ms=bounds.max_skew, margin_ms=margin_ms
            )
            if not health.ready:
                return health
            lack = self._replication.lack(answered(call)) if self._replication is not None else None
            if lack is not None:
                return StoreHealth(ready=False, detail=f"{server.name}: {lack}")
            if look.since_ms > youngest:
                worst, youngest = health, look.since_ms
        return worst or _unfit(None)

    async def _load_if_forgotten(self, command: bytes, deadline: float) -> None:
        """Try the script with a clock that it refuses, so that nothing happens; load it where it is not known."""
        if is_without_script((await self._lane.ask(command, deadline)).reply):
            await self._lane.ask(script.LOAD, deadline)


def _look_away(reply: "asyncio.Future[object]") -> None:
    reply.exception()


def is_without_script(reply: object) -> bool:
    """Whether the store has forgotten the script."""
    return isinstance(reply, hiredis.ReplyError) and refusals.code_of(reply) == refusals.NOSCRIPT


def _unfit(reply: object) -> StoreHealth:
    detail = refusals.advice(reply) if isinstance(reply, hiredis.ReplyError) else "its answer is not the script's"
    return StoreHealth(ready=False, detail=detail)
