"""Where does the time of one Check go?  Instants noted while it runs, and handed on when its answer is made.

The one place where a Check is timed, for spans and for the time in each step alike.  Where nobody wants either it is
not there at all.
"""

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field

from ott_extauthz.check.introspecting import IntrospectionObserver, IntrospectionResult
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


class CheckTimes:
    """Listens to a Check from its arrival to its answer, and hands it to each of ``tell``.

    ``store`` names the kind of used-list where it is outside of this process.  ``on_fault`` hears the type of whatever
    breaks here: an exception out of :meth:`answered` would take the place of the answer.
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float],
        tell: Iterable[Callable[[Timed], None]],
        on_fault: Callable[[str], None],
        store: str | None = None,
    ) -> None:
        self._monotonic = monotonic
        self._tell = tuple(tell)
        self._on_fault = on_fault
        self._store = store

    def arrived(self) -> None:
        """Begin to time a Check."""
        _CURRENT.set(Timed(self._monotonic()))

    def answered(self) -> None:
        """Hand it on, if it came to a decision."""
        timed = _CURRENT.get()
        if timed is None or timed.record is None:
            return
        timed.answered = self._monotonic()
        for tell in self._tell:
            try:
                tell(timed)
            except Exception as error:  # noqa: BLE001 - a metric must never fail a request; the break itself is counted
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
        """Say nothing: the answer is out, and its times are told."""

    def shadow_skipped(self) -> None:
        """Say nothing: the counter has it."""

    def faulted(self, error_type: str) -> None:
        """Say nothing: the decision has it."""


class TimedIntrospections:
    """Tells ``times`` of questions to issuers, besides whoever counts them."""

    def __init__(self, counts: IntrospectionObserver, times: CheckTimes) -> None:
        self._counts = counts
        self._times = times

    def introspected(self, issuer: str, result: IntrospectionResult) -> None:
        """Pass on how a Check's question ended."""
        self._counts.introspected(issuer, result)

    def introspection_took(self, issuer: str, seconds: float) -> None:
        """Pass on how long the issuer needed."""
        self._counts.introspection_took(issuer, seconds)
        self._times.introspected(issuer, seconds)

    def faulted(self, error_type: str) -> None:
        """Pass a fault on."""
        self._counts.faulted(error_type)
