"""What is there to tell about one request to the issuer as spans?  Gathered while it runs, told after its answer.

Whether a request is traced is decided when it arrives, so that audit and log can name its trace; for one that is not,
nothing is gathered.  What wraps the issuer's steps (:mod:`ott_extauthz.observe.issuer_steps`) tells them here.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from ott_extauthz.issuer.trail import Door, Minting, Refusal
from ott_extauthz.model.trace_context import TraceContext
from ott_extauthz.model.traced import Traced
from ott_extauthz.observe.sampling import Sampling
from ott_extauthz.ports import Entropy

_TRACE_ID_BYTES: Final = 16


@dataclass(slots=True, eq=False)
class Part:
    """A stretch of a request's time: a step, or below one a question to ``whom``; ``fault`` is what went wrong."""

    name: str
    whom: str | None
    within: "Part | None"
    began: float
    ended: float
    fault: str | None = None


@dataclass(slots=True)
class TimedRequest:
    """One traced request: instants are seconds of the monotonic clock; neither ``minting`` nor ``refusal``: see door.

    ``context`` is the caller's, whose trace this is then.
    """

    door: Door
    trace_id: str
    context: TraceContext | None
    arrived: float
    answered: float = 0.0
    parts: list[Part] = field(default_factory=list)
    under_way: Part | None = None
    minting: Minting | None = None
    refusal: Refusal | None = None

    def begin(self, name: str, whom: str | None, now: float) -> Part:
        """Begin a part, within the one that is under way; one step done many times in a row is one part."""
        last = self.parts[-1] if self.parts else None
        if last is not None and whom is None and last.name == name and last.within is self.under_way:
            part = last
        else:
            part = Part(name, whom, self.under_way, now, now)
            self.parts.append(part)
        self.under_way = part
        return part

    def end(self, part: Part, now: float) -> None:
        """End a part."""
        part.ended, self.under_way = now, part.within


_CURRENT: ContextVar[TimedRequest | None] = ContextVar("ott-issuer-request", default=None)


class RequestSpans:
    """Listens to requests, and hands those that are traced to ``tell``; ``later`` runs that after the answer.

    ``on_fault`` hears the type of whatever breaks here: a trace never takes the place of an answer.
    """

    def __init__(  # noqa: PLR0913 - each by its name, from the one composition root
        self,
        *,
        sampling: Sampling,
        monotonic: Callable[[], float],
        entropy: Entropy,
        tell: Callable[[TimedRequest], None],
        later: Callable[[Callable[[], None]], None],
        on_fault: Callable[[str], None],
    ) -> None:
        self._sampling = sampling
        self._monotonic = monotonic
        self._entropy = entropy
        self._tell = tell
        self._later = later
        self._on_fault = on_fault

    def arrived(self, door: Door, context: TraceContext | None) -> str | None:
        """Begin to time a request, if it is traced; return the id of its trace."""
        _CURRENT.set(None)
        named = None if context is None else context.trace_id
        with self._counted():
            # No proxy is known to have written this: it is the client's own word, wherever it comes from.
            traced = None if context is None else Traced(context, by_envoy=False)
            dice = self._entropy(_TRACE_ID_BYTES).hex()
            if self._sampling.takes(traced, dice):
                timed = TimedRequest(door, named or dice, context, self._monotonic())
                _CURRENT.set(timed)
                return timed.trace_id
        return named

    def answered(self) -> None:
        """Have a traced request told."""
        timed = _CURRENT.get()
        if timed is None:
            return
        _CURRENT.set(None)
        with self._counted():
            timed.answered = self._monotonic()
            self._later(lambda: self._told(timed))

    @contextmanager
    def part(self, name: str, whom: str | None = None) -> Iterator[Part | None]:
        """Time what happens within this block; None where the request is not traced."""
        timed = _CURRENT.get()
        if timed is None:
            yield None
            return
        part = timed.begin(name, whom, self._monotonic())
        try:
            yield part
        finally:
            timed.end(part, self._monotonic())

    def minted(self, minting: Minting) -> None:
        """Take note of tokens that are written down by now."""
        if (timed := _CURRENT.get()) is not None:
            timed.minting = minting

    def refused(self, refusal: Refusal) -> None:
        """Take note of a refusal."""
        if (timed := _CURRENT.get()) is not None:
            timed.refusal = refusal

    def _told(self, timed: TimedRequest) -> None:
        with self._counted():
            self._tell(timed)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a trace must never fail a request; the break itself is counted
            self._on_fault(type(error).__name__)
