"""What came of a call, and is it what was expected?  Status and exact reason, in the words of the tables."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from ott_extauthz.demo.calling import Reply
from ott_extauthz.model.reason import REASONS, Reason


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a caller saw.  Without a ``status`` there was no HTTP answer at all: the connection was refused or ended."""

    status: int | None
    reason: str | None = None

    @classmethod
    def of(cls, reply: Reply | None) -> "Outcome":
        """Return the outcome of a reply; None is the lack of one."""
        return cls(None) if reply is None else cls(reply.status, reply.reason)

    @property
    def passed(self) -> bool:
        """Whether the call reached the service."""
        return self.status == HTTPStatus.OK

    def __str__(self) -> str:
        if self.status is None:
            return "no answer"
        if self.passed:
            return "200 passed"
        return f"{self.status} {self.reason or 'by Envoy itself'}"


PASSES: Final = Outcome(HTTPStatus.OK)
NO_ANSWER: Final = Outcome(None)
CLOSED_BY_ENVOY: Final = Outcome(HTTPStatus.SERVICE_UNAVAILABLE)
"""Nobody answered Envoy, so nobody passes; there is no reason, for no Check server gave one."""


def refused(reason: Reason) -> Outcome:
    """Return the refusal with this reason, and the status that the reason always has."""
    return Outcome(REASONS[reason].status, reason)


def token_state(reply: Reply | None) -> str:
    """Return what a refusal says of its token; ``none`` where it says nothing."""
    said = reply.json if reply is not None else None
    return str(said["token_state"]) if isinstance(said, dict) and "token_state" in said else "none"
