"""How is an issuer asked about a token without ever being in its way?

- One question at a time about one token, however many Checks wait for it; who stops waiting disturbs nobody.
- So many questions at a time and no more, so many answers kept and no more: a flood of made-up tokens stops no token
  that was asked about already.
- No caller has more questions under way than there are places free: alone it gets half of them, and a flood leaves
  places to others, whose new tokens are asked about as ever.
- An issuer that fails :data:`FAILURES` times in a row is left alone for :data:`PAUSE_SECONDS`, then asked once.  What
  it says about one token (an error for that request) never counts as its failure: a caller could make it.
- Whatever goes wrong, the answer is that there is none: the call is refused, the token unspent, and no failure is kept.
"""

import asyncio
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from ott_extauthz.authn.introspection import AnswerError, Introspected, introspected_from
from ott_extauthz.check.answers import Answers
from ott_extauthz.model.framing import framed
from ott_extauthz.ports import Clock

FAILURES: Final = 5
PAUSE_SECONDS: Final = 1.0
LARGEST_KEPT_BYTES: Final = 8192
"""An answer beyond this is judged and not kept: what is kept in memory is bounded in number only."""


class IntrospectionResult(StrEnum):
    """How a question ended: the label of ``ott_introspections_total``."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    KEPT_ACTIVE = "kept_active"
    KEPT_INACTIVE = "kept_inactive"
    CONNECT = "connect"  # no connection, or none that is verified
    TIMEOUT = "timeout"
    FAILED = "failed"  # the issuer says that it cannot answer now: 429, 5xx
    REFUSED = "refused"  # it does not answer this question, or not us: any other status
    MALFORMED = "malformed"  # what came is no answer
    OVERLOADED = "overloaded"  # not asked: too many questions are under way
    SHARE_USED = "share_used"  # not asked: too many of them are this caller's
    PAUSED = "paused"  # not asked: it failed too often just now
    FAULT = "fault"


_IS_DOWN: Final = frozenset({IntrospectionResult.CONNECT, IntrospectionResult.TIMEOUT, IntrospectionResult.FAILED})


class IntrospectionError(Exception):
    """There is no answer.  ``result`` says why; the message quotes nothing that came."""

    def __init__(self, result: IntrospectionResult, detail: str) -> None:
        super().__init__(detail)
        self.result = result


class IntrospectionEndpoint(Protocol):
    """An issuer's introspection endpoint."""

    async def ask(self, token: str) -> bytes:
        """Return the document that it answers with.

        Raises:
            IntrospectionError: there is none within the time that it is given.
        """
        ...


class IntrospectionObserver(Protocol):
    """Listens to how questions end."""

    def introspected(self, issuer: str, result: IntrospectionResult) -> None:
        """Take note of how a Check's question ended: answered from what is kept, asked, or not."""
        ...

    def introspection_took(self, issuer: str, seconds: float) -> None:
        """Take note of how long the issuer needed, whatever came of it."""
        ...

    def faulted(self, error_type: str) -> None:
        """Take note of a fault of ours, by the type of the exception."""
        ...


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """There is no answer now, and why; ``detail`` quotes nothing that came."""

    result: IntrospectionResult
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.result}: {self.detail}" if self.detail else str(self.result)


Answer = Introspected | NoAnswer


def question_key(issuer: str, token: str) -> bytes:
    """Return the name of a question: SHA-256 over issuer and token, length-framed; the token itself is not kept."""
    return hashlib.sha256(framed("introspection", issuer, token)).digest()


@dataclass(slots=True, kw_only=True)
class Introspector:
    """Asks one issuer; ``most_in_flight`` questions at a time are shared by the callers."""

    issuer: str
    endpoint: IntrospectionEndpoint
    answers: Answers
    most_in_flight: int
    clock: Clock
    observer: IntrospectionObserver
    _in_flight: dict[bytes, asyncio.Task[Answer]] = field(default_factory=dict, repr=False)
    _held: Counter[str] = field(default_factory=Counter, repr=False)
    _failures: int = 0
    _paused_until: float = 0.0

    async def ask(self, key: bytes, token: str, seconds: float, caller: str) -> Answer:
        """Return what the issuer says, within ``seconds``; never raises but for cancellation.

        A question counts for the ``caller`` who begins it, until it is answered; to wait for another's costs nothing.
        """
        kept = self.answers.get(key)
        if kept is not None:
            is_active = kept.members is not None
            self._tell(IntrospectionResult.KEPT_ACTIVE if is_active else IntrospectionResult.KEPT_INACTIVE)
            return kept
        task = self._in_flight.get(key) or self._begun(key, token, caller)
        if isinstance(task, NoAnswer):
            self._tell(task.result)
            return task
        await asyncio.wait([task], timeout=seconds)  # neither its end nor our caller's cancels the task
        answer = task.result() if task.done() and not task.cancelled() else NoAnswer(IntrospectionResult.TIMEOUT)
        self._tell(_result_of(answer))
        return answer

    async def aclose(self) -> None:
        """End what is under way."""
        tasks = list(self._in_flight.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begun(self, key: bytes, token: str, caller: str) -> "asyncio.Task[Answer] | NoAnswer":
        if self._failures >= FAILURES and (self._in_flight or self.clock.monotonic() < self._paused_until):
            return NoAnswer(IntrospectionResult.PAUSED)
        free = self.most_in_flight - len(self._in_flight)
        if free <= 0:
            return NoAnswer(IntrospectionResult.OVERLOADED)
        if self._held[caller] >= free:
            return NoAnswer(IntrospectionResult.SHARE_USED)
        task = self._in_flight[key] = asyncio.create_task(self._asked(key, token))
        self._held[caller] += 1
        task.add_done_callback(lambda _: self._left(key, caller))
        return task

    def _left(self, key: bytes, caller: str) -> None:
        del self._in_flight[key]
        self._held -= Counter([caller])  # which forgets whoever has none left

    async def _asked(self, key: bytes, token: str) -> Answer:
        began = self.clock.monotonic()
        try:
            document = await self.endpoint.ask(token)
            answer = introspected_from(document)
        except AnswerError as error:
            return self._ended(began, NoAnswer(IntrospectionResult.MALFORMED, str(error)))
        except IntrospectionError as error:
            return self._ended(began, NoAnswer(error.result, str(error)))
        except Exception as error:  # noqa: BLE001 - whatever broke, those who wait are told that there is no answer
            self.observer.faulted(type(error).__name__)
            return self._ended(began, NoAnswer(IntrospectionResult.FAULT))
        if len(document) <= LARGEST_KEPT_BYTES:
            self.answers.put(key, answer, began)
        return self._ended(began, answer)

    def _ended(self, began: float, answer: Answer) -> Answer:
        now = self.clock.monotonic()
        self.observer.introspection_took(self.issuer, now - began)
        if isinstance(answer, NoAnswer) and answer.result in _IS_DOWN:
            self._failures += 1
            self._paused_until = now + PAUSE_SECONDS
        else:
            self._failures = 0
        return answer

    def _tell(self, result: IntrospectionResult) -> None:
        self.observer.introspected(self.issuer, result)


def _result_of(answer: Answer) -> IntrospectionResult:
    if isinstance(answer, NoAnswer):
        return answer.result
    return IntrospectionResult.ACTIVE if answer.members is not None else IntrospectionResult.INACTIVE
