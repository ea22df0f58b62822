"""What is there to tell about one Check as spans?  Gathered while it runs, told after its answer is made.

While a Check runs this notes instants and nothing else.  Whether it is traced is decided afterwards, and the spans of
one that is are made when its answer is on its way (:mod:`ott_extauthz.observe.spans`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from ott_extauthz.check.introspecting import IntrospectionObserver, IntrospectionResult
from ott_extauthz.model.traced import traced
from ott_extauthz.observe.sampling import Sampling
from ott_extauthz.ports import CheckRecord, ShadowRecord, UsedListFault


@dataclass(frozen=True, slots=True)
class Asked:
    """One question to somebody else: whom, by our own configuration, from when to when, and what went wrong."""

    what: str
    whom: str
    began: float
    ended: float
    fault: str | None = None


@dataclass(slots=True)
class Timed:
    """One Check: instants are seconds of the monotonic clock."""

    arrived: float
    asked: list[Asked] = field(default_factory=list)
    store_fault: str | None = None
    record: CheckRecord | None = None
    told: float = 0.0
    answered: float = 0.0


_CURRENT: ContextVar[Timed | None] = ContextVar("ott-check", default=None)
STORE = "spend"
INTROSPECTION = "introspect"


class CheckSpans:
    """Listens to a Check, and hands it to ``tell`` where it is traced; ``later`` runs that after the answer.

    ``store`` names the kind of used-list where it is outside of this process.  ``on_fault`` hears the type of whatever
    breaks here: an exception out of :meth:`answered` would take the place of the answer.
    """

    def __init__(  # noqa: PLR0913 - each by its name, from the one composition root
        self,
        *,
        sampling: Sampling,
        monotonic: Callable[[], float],
        tell: Callable[[Timed], None],
        later: Callable[[Callable[[], None]], None],
        on_fault: Callable[[str], None],
        store: str | None,
    ) -> None:
        self._sampling = sampling
        self._monotonic = monotonic
        self._tell = tell
        self._later = later
        self._on_fault = on_fault
        self._store = store

    def arrived(self) -> None:
        """Begin to time a Check."""
        _CURRENT.set(Timed(self._monotonic()))

    def answered(self) -> None:
        """Have it told, if it is traced."""
        timed = _CURRENT.get()
        if timed is None or timed.record is None:
            return
        timed.answered = self._monotonic()
        record = timed.record
        with self._counted():
            if self._sampling.takes(traced(record.facts), record.decision.decision_id):
                self._later(lambda: self._told(timed))

    def _told(self, timed: Timed) -> None:
        with self._counted():
            self._tell(timed)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a trace must never fail a request; the break itself is counted
            self._on_fault(type(error).__name__)

    def decided(self, record: CheckRecord) -> None:
        """Take note of the decision, which is written down by now."""
        timed = _CURRENT.get()
        if timed is not None:
            timed.record, timed.told = record, self._monotonic()

    def spend_took(self, seconds: float) -> None:
        """Take note of a question to the used-list that has just ended."""
        timed = _CURRENT.get()
        if timed is not None and self._store is not None:
            now, fault = self._monotonic(), timed.store_fault
            timed.asked.append(Asked(STORE, self._store, now - seconds, now, fault))
            timed.store_fault = None

    def store_failed(self, fault: UsedListFault) -> None:
        """Take note of what goes wrong with the question that is told next."""
        timed = _CURRENT.get()
        if timed is not None:
            timed.store_fault = fault

    def introspected(self, issuer: str, seconds: float) -> None:
        """Take note of a question to an issuer; it belongs to the Check that began it."""
        timed = _CURRENT.get()
        if timed is not None:
            now = self._monotonic()
            timed.asked.append(Asked(INTROSPECTION, issuer, now - seconds, now))

    def replayed(self, record: CheckRecord) -> None:
        """Say nothing: the decision has it."""

    def shadowed(self, record: ShadowRecord) -> None:
        """Say nothing: the answer is out, and so are its spans."""

    def shadow_skipped(self) -> None:
        """Say nothing: the counter has it."""

    def faulted(self, error_type: str) -> None:
        """Say nothing: the decision has it."""


class TimedIntrospections:
    """Tells ``spans`` of questions to issuers, besides whoever counts them."""

    def __init__(self, counts: IntrospectionObserver, spans: CheckSpans) -> None:
        self._counts = counts
        self._spans = spans

    def introspected(self, issuer: str, result: IntrospectionResult) -> None:
        """Pass on how a Check's question ended."""
        self._counts.introspected(issuer, result)

    def introspection_took(self, issuer: str, seconds: float) -> None:
        """Pass on how long the issuer needed."""
        self._counts.introspection_took(issuer, seconds)
        self._spans.introspected(issuer, seconds)

    def faulted(self, error_type: str) -> None:
        """Pass a fault on."""
        self._counts.faulted(error_type)
