"""How do calls get to the store?  All calls of one event-loop tick leave as one write; one connection carries them all.

- Calls leave without waiting for the replies of earlier ones.
- Every call has a deadline of its own, whatever the connection does.  It fails UNSPENT only while no byte of it was
  handed to a connection.
- A call that its connection left unanswered is sent once more, on a fresh one, if its deadline allows: the same nonce,
  so the store knows its own write (redis-py sends up to ten times and then waits for ever).
- A connection is opened when a call needs one.  After a refusal the next attempt waits a moment; calls queue meanwhile.
"""

import asyncio
import math
from collections.abc import Callable, Iterable
from typing import Final

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import UsedListError, UsedListFault
from ott_extauthz.stores.redislist.calls import Answer, Call, Question
from ott_extauthz.stores.redislist.connecting import ConnectError, Connector
from ott_extauthz.stores.redislist.link import LATE_SECONDS, LOOK_AGAIN_SECONDS, Link

MOST_SENDS: Final = 2
PAUSE_SECONDS: Final = 0.05
"""Between a refused connection and the next attempt: 20 handshakes a second at most against a store that is down."""


class Lane:
    """The way to one store, for any number of concurrent callers of one event loop."""

    def __init__(self, connector: Connector, *, limit: float, barrier: Callable[[], bytes] | None = None) -> None:
        self._connector = connector
        self._limit = limit
        self._barrier = barrier
        self._link: Link | None = None
        self._opening: asyncio.Task[None] | None = None
        self._not_before = -math.inf
        self._fresh: list[Call] = []
        self._queued: list[Call] = []
        self._is_closed = False

    async def ask(self, command: bytes, deadline: float) -> Answer:
        """Send ``command`` and wait for its answer.

        Raises:
            UsedListError: no reply by ``deadline``, an instant of the event loop's clock; or the lane is closed.
        """
        if deadline <= asyncio.get_running_loop().time():
            raise UsedListError(UsedListFault.TIMEOUT, TokenState.UNSPENT, "no time was left to send")
        question = Question(command, deadline)
        self.post(question)
        return await question.answer

    def post(self, call: Call) -> None:
        """Have ``call`` leave with all others of this tick; it is told what came of it, at its deadline at the latest.

        Raises:
            UsedListError: the lane is closed.
        """
        if self._is_closed:
            raise UsedListError(UsedListFault.CLOSED, TokenState.UNSPENT, "the used-list is closed")
        if not self._fresh:
            asyncio.get_running_loop().call_soon(self._flush)
        self._fresh.append(call)

    async def close(self) -> None:
        """Fail every call that is under way, and let go of the connection."""
        self._is_closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        _fail(self._taken_queue(), UsedListFault.CLOSED, "the used-list was closed")
        if self._link is not None:
            link = self._link
            link.end(UsedListFault.CLOSED, "the used-list was closed")
            await link.ended()

    def _flush(self) -> None:
        calls, self._fresh = self._fresh, []
        for call in calls:
            call.close()
        wanted = [call for call in calls if call.is_wanted()]
        if wanted:
            self._watch(wanted)
            self._dispatch(wanted)

    def _dispatch(self, calls: list[Call]) -> None:
        if self._is_closed:
            _fail(calls, UsedListFault.CLOSED, "the used-list was closed")
            return
        if self._link is not None and not self._link.is_open:
            self._link.end(UsedListFault.LOST, "the connection broke")
        if self._link is not None:
            self._link.send([call for call in calls if call.is_wanted()])
            return
        self._queued += calls
        if self._opening is None or self._opening.done():
            self._opening = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await asyncio.sleep(self._not_before - loop.time())
            connection = await self._connector.open()
        except ConnectError as error:
            self._not_before = loop.time() + PAUSE_SECONDS
            _fail(self._taken_queue(), UsedListFault.CONNECT, str(error))
            return
        self._opening = None
        self._link = Link(connection, limit=self._limit, on_lost=self._lost, barrier=self._barrier)
        self._dispatch(self._taken_queue())

    def _taken_queue(self) -> list[Call]:
        queued, self._queued = self._queued, []
        return queued

    def _lost(self, link: Link, unanswered: list[Call], fault: UsedListFault, why: str) -> None:
        if self._link is link:
            self._link = None
        now = asyncio.get_running_loop().time()
        again: list[Call] = []
        for call in unanswered:
            call.expire(now)
            if call.sends < MOST_SENDS and call.is_wanted():
                again.append(call)
            else:
                call.fail(fault, why)
        if again:
            self._dispatch(again)

    def _watch(self, calls: list[Call]) -> None:
        """Set one alarm for all, at the earliest deadline: an alarm for each would cost 3 µs a call."""
        due = min([call.deadline for call in calls])
        asyncio.get_running_loop().call_at(due, self._expire, calls, due)

    def _expire(self, calls: list[Call], due: float) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now - due > LATE_SECONDS:
            loop.call_later(LOOK_AGAIN_SECONDS, self._expire, calls, math.inf)
            return
        for call in calls:
            call.expire(now)
        left = [call for call in calls if call.is_wanted()]
        if left:
            self._watch(left)


def _fail(calls: Iterable[Call], fault: UsedListFault, why: str) -> None:
    for call in calls:
        call.fail(fault, why)
