"""Which reply belongs to which call?  One live connection: calls leave packed, replies come back in the same order.

- A call whose caller has gone keeps its place in the order; its reply is taken and dropped.
- A reply that does not fit its call, or that nobody waits for, or bytes that are no reply, end the connection: none of
  the others may be believed.
- A call that has waited longer than the limit ends the connection too, so that one reply that never comes does not
  hold up those behind it for longer than they would have waited anyway.
- With a ``barrier`` (WAIT) every write ends with one, and the replies before it are handed out when it is answered.
  Lost meanwhile, they count as unanswered: what a fresh connection says of another's writes is worth nothing.
- However it ends, ``on_lost`` is told once, with every call that was still unanswered.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import hiredis
from redis.asyncio.connection import Connection

from ott_extauthz.ports import UsedListFault
from ott_extauthz.stores.redislist.calls import Call

CHUNK_BYTES: Final = 65536
LATE_SECONDS: Final = 0.005
"""An alarm this late means that *we* slept.  Replies may lie unread in the socket: look once more, a moment later."""

LOOK_AGAIN_SECONDS: Final = 0.002

_NOTHING: Final = object()


@dataclass(slots=True, eq=False)
class _Barrier:
    """A WAIT on its way; the calls ``before`` it are told when it is answered."""

    sent_at: float
    before: Sequence[Call]


class _MisfitError(Exception):
    """A reply did not fit its call."""


OnLost = Callable[["Link", list[Call], UsedListFault, str], None]
"""Takes over the calls that a connection left unanswered; with the kind of fault, and why in one line."""


class Link:
    """One live connection.  Must be made inside a running event loop."""

    def __init__(
        self, connection: Connection, *, limit: float, on_lost: OnLost, barrier: Callable[[], bytes] | None = None
    ) -> None:
        reader, writer = connection._reader, connection._writer  # noqa: SLF001 - redis-py has no cheaper way to them
        if reader is None or writer is None:
            raise ValueError("the connection is not open")
        self._connection = connection
        self._reader, self._writer = reader, writer
        self._limit = limit
        self._on_lost: OnLost | None = on_lost
        self._barrier = barrier
        self._unanswered: deque[Call | _Barrier] = deque()
        self._held: list[object] = []
        self._replies = hiredis.Reader(notEnoughData=_NOTHING)
        self._alarm: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._read())

    @property
    def is_open(self) -> bool:
        """Whether calls may be sent; once False it stays so."""
        return self._on_lost is not None and not self._writer.is_closing()

    def send(self, calls: Sequence[Call]) -> None:
        """Send all ``calls`` in one write."""
        if not calls:
            return
        now = self._loop.time()
        for call in calls:
            call.sends += 1
            call.sent_at = now
        self._unanswered.extend(calls)
        words = [call.command() for call in calls]
        if self._barrier is not None:
            words.append(self._barrier())
            self._unanswered.append(_Barrier(now, calls))
        self._writer.write(b"".join(words))
        if self._alarm is None:
            self._set_alarm(now + self._limit)

    def end(self, fault: UsedListFault, why: str) -> None:
        """End the connection at once; what is still in our own buffer never leaves."""
        if self._on_lost is None:
            return
        on_lost, self._on_lost = self._on_lost, None
        if self._alarm is not None:
            self._alarm.cancel()
        self._writer.transport.abort()
        if asyncio.current_task(self._loop) is not self._task:
            self._task.cancel()
        unanswered: list[Call] = []
        for entry in self._unanswered:
            if isinstance(entry, _Barrier):
                unanswered += entry.before
            elif self._barrier is None:
                unanswered.append(entry)
        self._unanswered.clear()
        on_lost(self, unanswered, fault, why)

    async def ended(self) -> None:
        """Wait until the connection is taken down."""
        await asyncio.wait([self._task])
        await self._connection.disconnect(nowait=True)  # a task that was cancelled before its first step did not

    async def _read(self) -> None:
        fault, why = UsedListFault.LOST, "the store closed the connection"
        try:
            while data := await self._reader.read(CHUNK_BYTES):
                self._take(data)
        except _MisfitError:
            fault, why = UsedListFault.REPLY, "a reply did not fit its call"
        except hiredis.ProtocolError as error:
            why = f"no reply of a store: {error}"
        except OSError as error:
            why = f"the connection broke ({error.strerror or type(error).__name__})"
        finally:
            self.end(fault, why)
            await self._connection.disconnect(nowait=True)

    def _take(self, data: bytes) -> None:
        self._replies.feed(data)
        while (reply := self._replies.gets()) is not _NOTHING:
            if not self._unanswered:
                raise hiredis.ProtocolError("one that nobody waits for")
            self._hand_out(self._unanswered.popleft(), reply)

    def _hand_out(self, entry: Call | _Barrier, reply: object) -> None:
        if isinstance(entry, _Barrier):
            acknowledged = reply if isinstance(reply, int) else 0
            held, self._held = self._held, []
            fits = [call.take(each, acknowledged) for call, each in zip(entry.before, held, strict=True)]
        elif self._barrier is not None:
            self._held.append(reply)
            return
        else:
            fits = [entry.take(reply, 0)]
        if not all(fits):
            raise _MisfitError

    def _set_alarm(self, due: float) -> None:
        self._alarm = self._loop.call_at(due, self._check, due)

    def _check(self, due: float) -> None:
        """End the connection if its oldest call has waited for the limit; else look again when it will have."""
        self._alarm = None
        if not self._unanswered:
            return
        now, oldest_due = self._loop.time(), self._unanswered[0].sent_at + self._limit
        if oldest_due > now:
            self._set_alarm(oldest_due)
        elif now - due > LATE_SECONDS:
            self._alarm = self._loop.call_later(LOOK_AGAIN_SECONDS, self._check, math.inf)
        else:
            self.end(UsedListFault.TIMEOUT, f"no answer within {self._limit * 1000:.0f} ms")
