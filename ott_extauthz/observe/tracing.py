"""Which Checks become spans?  Decided when the answer is made; the spans are made when it is on its way.

They are made from what :mod:`ott_extauthz.observe.timing` noted, by :mod:`ott_extauthz.observe.spans`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ott_extauthz.observe.sampling import Sampling
from ott_extauthz.observe.timing import Timed


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedChecks:
    """Hands a Check that is traced to ``tell``; ``later`` runs that after the answer.

    ``on_fault`` hears the type of whatever breaks then, where nobody else would.
    """

    sampling: Sampling
    tell: Callable[[Timed], None]
    later: Callable[[Callable[[], None]], None]
    on_fault: Callable[[str], None]

    def answered(self, timed: Timed) -> None:
        """Have a Check told, if it is traced."""
        record = timed.record
        if record is not None and self.sampling.takes(record.traced, record.decision.decision_id):
            self.later(lambda: self._told(timed))

    def _told(self, timed: Timed) -> None:
        try:
            self.tell(timed)
        except Exception as error:  # noqa: BLE001 - a trace must never fail a request; the break itself is counted
            self.on_fault(type(error).__name__)
