"""How do many uses share one call?  All uses of one event-loop tick, for one bucket, are one call of the script.

- INFO, TIME and the fence cost the store once a call, and the client has one reply to read.
- Every use keeps its own deadline, nonce, clock and answer.  Who has gone before the call leaves is not in it.
- An array of answers is believed as a whole or not at all: every one must repeat its own use's nonce.
- The same uses may go to several servers; each has a batch of its own, and is heard once for every use.
"""

import asyncio
import math
from collections.abc import Sequence
from typing import Final, Protocol

import hiredis

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import Spend, UsedListError, UsedListFault
from ott_extauthz.stores.redislist import refusals
from ott_extauthz.stores.redislist.calls import Call
from ott_extauthz.stores.redislist.script import PackedUse, SpendScript

MOST_USES: Final = 64
"""In one call: a store runs a script to its end before it does anything else, and this many take it about 0.3 ms."""

Voice = Spend | UsedListError
"""What one server says of one use."""


class Attempt:
    """One use on its way, and who waits for what came of it."""

    __slots__ = ("deadline", "packed", "result")

    def __init__(self, packed: PackedUse, deadline: float, result: asyncio.Future[Spend]) -> None:
        self.packed = packed
        self.deadline = deadline
        self.result = result

    def hear(self, voice: Voice) -> None:
        """Take the one server's word."""
        if self.result.done():
            return
        if isinstance(voice, Spend):
            self.result.set_result(voice)
        else:
            self.result.set_exception(voice)


class Group:
    """The uses of one tick; open until the first call with them leaves."""

    __slots__ = ("attempts", "is_open", "script")

    def __init__(self, script: SpendScript) -> None:
        self.script = script
        self.attempts: list[Attempt] = []
        self.is_open = True

    def add(self, attempt: Attempt) -> None:
        """Take one use in."""
        self.attempts.append(attempt)
        if len(self.attempts) >= MOST_USES:
            self.is_open = False


class Judge(Protocol):
    """What a batch asks of its server."""

    def heard(self, nonce: bytes, answer: object, *, unseen: int, acknowledged: int) -> Voice | None:
        """Say what the answer to the use with this nonce means; None if it is no answer to it."""
        ...

    def refused(self, error: hiredis.ReplyError, *, unseen: int) -> Voice:
        """Say what an error in place of all answers means for each of the uses."""
        ...

    def renew(self, batch: "Batch") -> None:
        """Load the script, which the server has forgotten (SCRIPT FLUSH), and send the batch after it."""
        ...


class Batch(Call):
    """The uses of a group, on their way to one server."""

    __slots__ = ("_group", "_judge", "_late", "_may_renew", "attempts")

    def __init__(self, group: Group, judge: Judge, *, may_renew: bool = True) -> None:
        super().__init__(math.inf)
        self._group = group
        self._judge = judge
        self._late: set[Attempt] = set()
        self.attempts: Sequence[Attempt] = ()
        self._may_renew = may_renew

    def close(self) -> None:
        """Take no more uses in."""
        self._group.is_open = False
        self.attempts = self._group.attempts
        self._set_deadline(self.attempts)

    def is_wanted(self) -> bool:
        """Whether any use is still waited for."""
        return any(attempt not in self._late and not attempt.result.cancelled() for attempt in self.attempts)

    def command(self) -> bytes:
        """Return a call with the uses that are still waited for; the others will not be in it."""
        self.attempts, self._late = self._waiting(), set()
        return self._group.script.spend([attempt.packed for attempt in self.attempts])

    def take(self, reply: object, acknowledged: int) -> bool:
        """Tell each use its answer; nobody is let through by an array that does not fit."""
        unseen = self.sends - 1
        if isinstance(reply, hiredis.ReplyError):
            if refusals.is_without_script(reply) and self._may_renew and not unseen:
                self._renew()
            else:
                self._tell([self._judge.refused(reply, unseen=unseen) for _ in self.attempts])
            return True
        voices = self._voices(reply, unseen, acknowledged)
        self._tell(voices or [_misfit() for _ in self.attempts])
        return voices is not None

    def fail(self, fault: UsedListFault, why: str) -> None:
        """Tell all that there was no answer."""
        self._tell([self.failure(fault, why) for _ in self.attempts])

    def expire(self, now: float) -> None:
        """Tell those whose time is over."""
        for attempt in self._waiting():
            if attempt.deadline <= now:
                self._late.add(attempt)
                attempt.hear(self.lateness())
        self._set_deadline(self._waiting())

    def _renew(self) -> None:
        """Hand those who still wait over to another batch, which alone will tell them."""
        group = Group(self._group.script)
        for attempt in self._waiting():
            group.add(attempt)
        batch = Batch(group, self._judge, may_renew=False)
        batch.close()
        self.attempts, self.deadline = (), math.inf
        if batch.is_wanted():
            self._judge.renew(batch)

    def _set_deadline(self, attempts: Sequence[Attempt]) -> None:
        self.deadline = min([attempt.deadline for attempt in attempts], default=math.inf)

    def _waiting(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt not in self._late and not attempt.result.cancelled()]

    def _voices(self, reply: object, unseen: int, acknowledged: int) -> list[Voice] | None:
        """Return what was said of every use; None unless all of it fits."""
        if not isinstance(reply, list) or len(reply) != len(self.attempts):
            return None
        voices: list[Voice] = []
        for attempt, answer in zip(self.attempts, reply, strict=True):
            voice = self._judge.heard(attempt.packed[2], answer, unseen=unseen, acknowledged=acknowledged)
            if voice is None:
                return None
            voices.append(voice)
        return voices

    def _tell(self, voices: Sequence[Voice]) -> None:
        """Tell everyone who was not told before: a server is heard once for every use."""
        for attempt, voice in zip(self.attempts, voices, strict=True):
            if attempt not in self._late:
                attempt.hear(voice)
        self.attempts, self.deadline = (), math.inf


def _misfit() -> UsedListError:
    return UsedListError(UsedListFault.REPLY, TokenState.UNKNOWN, "the store's reply is not the script's")
