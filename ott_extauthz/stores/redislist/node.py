"""What does one server say of a use?  A lane to it, and what its answers mean; every deployment is made of these."""

import asyncio
from collections.abc import Sequence
from typing import Final

import hiredis

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import (
    Clock,
    Spend,
    SpendOutcome,
    StoreHealth,
    StoreServer,
    StoreState,
    UsedListError,
    UsedListFault,
)
from ott_extauthz.sections.serving import ClockBounds
from ott_extauthz.sections.store import Store
from ott_extauthz.stores.redislist import answers, refusals, report, script
from ott_extauthz.stores.redislist.batch import Batch, Group, Voice
from ott_extauthz.stores.redislist.calls import Answer, Question
from ott_extauthz.stores.redislist.connecting import Connector
from ott_extauthz.stores.redislist.lane import MOST_SENDS, Lane
from ott_extauthz.stores.redislist.persistence import PersistenceWatch
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
        self._connector = connector
        self.longest = MOST_SENDS * settings.timeout / 1000
        # A look waits for a connection to be made, or refused with a reason; a spend could not afford to.
        self._look_limit = connector.limit + self.longest
        self._replication = Replication.of(settings)
        barrier = self._replication.barrier if self._replication else None
        self._lane = Lane(connector, limit=settings.timeout / 1000, barrier=barrier)
        self._persistence = PersistenceWatch(self._lane)

    @property
    def trouble(self) -> str:
        """Why a look that has no answer may have none."""
        return self._connector.trouble or "no answer yet"

    def post(self, group: Group) -> None:
        """Have the uses of ``group`` spent here; each is told what this server says of it.

        Raises:
            UsedListError: this way is closed.
        """
        self._lane.post(Batch(group, self))

    def heard(self, nonce: bytes, answer: object, *, unseen: int, acknowledged: int) -> Voice | None:
        """Say what the script's answer to the use with this nonce means; None if it is no answer to it."""
        spend = answers.spend_from(answer, nonce)
        try:
            if isinstance(spend, answers.Failed):
                error = hiredis.ReplyError(spend.error)
                spend = Spend(refusals.outcome_of(error, unseen=unseen, is_before_write=not spend.is_written))
            if self._replication is not None and spend is not None and spend.outcome is SpendOutcome.FIRST_USE:
                self._replication.check(answer, acknowledged)
        except UsedListError as error:
            return error
        return _certain(spend) if unseen and spend is not None else spend

    def refused(self, error: hiredis.ReplyError, *, unseen: int) -> Voice:
        """Say what the store's error in place of all answers means for each of the uses."""
        try:
            spend = Spend(refusals.outcome_of(error, unseen=unseen))
        except UsedListError as told:
            return told
        return _certain(spend) if unseen else spend

    def renew(self, batch: Batch) -> None:
        """Load the script, and send ``batch`` after it."""
        load = Question(script.LOAD, batch.deadline)
        load.answer.add_done_callback(_look_away)
        try:
            self._lane.post(load)
            self._lane.post(batch)
        except UsedListError as error:
            batch.fail(error.fault, str(error))

    async def look(
        self, scripts: Sequence[script.SpendScript], clock: Clock, bounds: ClockBounds, margin_ms: int
    ) -> StoreHealth:
        """Do steps 1 to 3 of every script, which set the fence where there is none; say in one line what came of it."""
        try:
            health = await self._looked(scripts, clock, bounds, margin_ms)
        except UsedListError as error:
            health = StoreHealth(ready=False, detail=str(error), servers=(StoreServer("", StoreState.UNREACHABLE),))
        return report.of_place(self.place, health, self._persistence.said)

    async def close(self) -> None:
        """Fail what is under way and let go of the connection."""
        await self._lane.close()

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
            return StoreHealth(
                ready=False, detail=f"{server.name} is too old; Redis 7.0 or Valkey is needed; mend store.url"
            )
        await self._load_if_forgotten(scripts[0].look(0), deadline)
        now_ms = clock.now_ms()
        questions = [Question(each.look(now_ms), deadline) for each in scripts]
        for question in questions:
            question.answer.add_done_callback(_look_away)  # should this look be given up, nobody asks any more
            self._lane.post(question)
        await asyncio.wait([question.answer for question in questions])
        worst: StoreHealth | None = None
        youngest = -1
        for answer in [question.answer.result() for question in questions]:
            look = answers.look_from(answer.reply)
            if look is None:
                return _unfit(answer.reply)
            health = report.health_from(
                look, server=server, now_ms=now_ms, max_skew_ms=bounds.max_skew, margin_ms=margin_ms
            )
            if not health.ready:
                return health
            lack = self._replication.lack(answer.acknowledged) if self._replication is not None else None
            if lack is not None:
                forbidden = await self._forbidden_wait(deadline)
                return forbidden or StoreHealth(ready=False, detail=f"{server.name}: {lack}")
            if look.since_ms > youngest:
                worst, youngest = health, look.since_ms
        await self._persistence.look(deadline)
        return worst or _unfit(None)

    async def _forbidden_wait(self, deadline: float) -> StoreHealth | None:
        """Tell a user who may not WAIT from replicas that are missing: both count as none."""
        reply = (await self._lane.ask(script.wait(0, 1), deadline)).reply
        return _unfit(reply) if isinstance(reply, hiredis.ReplyError) else None

    async def _load_if_forgotten(self, command: bytes, deadline: float) -> None:
        """Try the script with a clock that it refuses, so that nothing happens; load it where it is not known."""
        if refusals.is_without_script((await self._lane.ask(command, deadline)).reply):
            await self._lane.ask(script.LOAD, deadline)


def _certain(spend: Spend) -> Voice:
    """Doubt what was said of an attempt that an earlier send may have spent."""
    if spend.outcome not in _CERTAIN:
        detail = f"first without an answer, then {spend.outcome.name}"
        return UsedListError(UsedListFault.LOST, TokenState.UNKNOWN, detail)
    return spend


def _look_away(answer: "asyncio.Future[Answer]") -> None:
    if not answer.cancelled():
        answer.exception()


def _unfit(reply: object) -> StoreHealth:
    detail = refusals.advice(reply) if isinstance(reply, hiredis.ReplyError) else "its answer is not the script's"
    return StoreHealth(ready=False, detail=detail)
