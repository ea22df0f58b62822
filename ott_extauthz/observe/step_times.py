"""Where does a Check's time go?  One histogram by step, where ``metrics.steps`` asks for it."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from prometheus_client import CollectorRegistry, Histogram

from ott_extauthz.model.decision import Deny
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.step import Step
from ott_extauthz.observe.timing import Timed
from ott_extauthz.ports import CheckRecord

AUDIT: Final = "audit"
"""Writing the decision down, and counting it: after the last of the Check's own steps."""

ENCODE: Final = "encode"
"""Making the answer: after that."""

_SECONDS: Final = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25)


class StepTimes:
    """The histogram.  A Check that is refused has no time in the steps behind that, one that was given up no answer."""

    def __init__(self, registry: CollectorRegistry) -> None:
        seconds = Histogram(
            "ott_check_step_seconds", "Time in each step of a Check; only with metrics.steps.",
            ["step"], buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._of = {step: seconds.labels(step) for step in (*Step, AUDIT, ENCODE)}

    def answered(self, timed: Timed) -> None:
        """Observe every step that a Check has gone through."""
        if timed.record is not None:
            for step, seconds in _durations(timed, timed.record):
                self._of[step].observe(seconds)


def _durations(timed: Timed, record: CheckRecord) -> Iterator[tuple[str, float]]:
    decided = record.began + record.seconds
    yield Step.DECODE, record.began - timed.arrived
    for (step, began), (_, ended) in pairwise((*record.marks, (Step.ALLOW, decided))):
        yield step, ended - began
    yield AUDIT, timed.told - decided
    if not (isinstance(record.decision, Deny) and record.decision.reason is Reason.CHECK_CANCELLED):
        yield ENCODE, timed.answered - timed.told
