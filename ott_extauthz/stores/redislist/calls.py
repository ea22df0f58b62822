"""What is a call to the store, as the way there sees it?  Bytes to send, a deadline, and somebody to tell.

A call is told once what came of it.  Whatever fails is UNSPENT only while no byte of it was handed to a connection.
"""

import asyncio
import math
from abc import ABC, abstractmethod
from typing import NamedTuple

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import UsedListError, UsedListFault


class Answer(NamedTuple):
    """A reply; how many earlier sends of its call may have been carried out unseen; how many replicas have it."""

    reply: object
    unseen: int
    acknowledged: int


class Call(ABC):
    """One command on its way.

    ``sends`` counts how often its bytes were handed to a connection.  ``deadline`` is the next instant, of the event
    loop's clock, at which somebody stops waiting for it.
    """

    __slots__ = ("deadline", "sends", "sent_at")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.sends = 0
        self.sent_at = 0.0

    def close(self) -> None:  # noqa: B027 - most calls are whole from the start
        """Take nothing more in: the call is about to leave."""

    @abstractmethod
    def is_wanted(self) -> bool:
        """Whether anybody still waits for it."""

    @abstractmethod
    def command(self) -> bytes:
        """Return its bytes for the send that is counted by now."""

    @abstractmethod
    def take(self, reply: object, acknowledged: int) -> bool:
        """Tell whoever waits; False if the reply does not fit, so that its connection may not be believed."""

    @abstractmethod
    def fail(self, fault: UsedListFault, why: str) -> None:
        """Tell whoever waits that there was no answer."""

    @abstractmethod
    def expire(self, now: float) -> None:
        """Tell those whose time is over by ``now``, and set ``deadline`` for the others."""

    def failure(self, fault: UsedListFault, why: str) -> UsedListError:
        """Return the error for a call that came no further than this."""
        if self.sends == 0:
            return UsedListError(fault, TokenState.UNSPENT, why)
        kind = UsedListFault.LOST if fault is UsedListFault.CONNECT else fault  # the store may have carried it out
        return UsedListError(kind, TokenState.UNKNOWN, why)

    def lateness(self) -> UsedListError:
        """Return the error for whoever waited in vain."""
        if self.sends:
            return self.failure(UsedListFault.TIMEOUT, "no answer in time")
        return self.failure(UsedListFault.CONNECT, "no connection in time")


class Question(Call):
    """One command, and one who waits for the ``answer``."""

    __slots__ = ("_command", "answer")

    def __init__(self, command: bytes, deadline: float) -> None:
        super().__init__(deadline)
        self._command = command
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def is_wanted(self) -> bool:
        """Whether it is not answered yet."""
        return not self.answer.done()

    def command(self) -> bytes:
        """Return the command."""
        return self._command

    def take(self, reply: object, acknowledged: int) -> bool:
        """Hand the reply over; what fits is the asker's to say."""
        if not self.answer.done():
            self.answer.set_result(Answer(reply, self.sends - 1, acknowledged))
        return True

    def fail(self, fault: UsedListFault, why: str) -> None:
        """Fail the answer."""
        self._tell(self.failure(fault, why))

    def expire(self, now: float) -> None:
        """Fail the answer if it is too late."""
        if self.deadline <= now:
            self._tell(self.lateness())
            self.deadline = math.inf

    def _tell(self, error: UsedListError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
