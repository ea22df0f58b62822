"""Where does a Check's time go?  One histogram by step, where ``metrics.steps`` asks for it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from prometheus_client import CollectorRegistry, Histogram

from ott_extauthz.model.step import Mark, Step
from ott_extauthz.ports import CheckRecord

ENCODE: Final = "encode"
"""Making the answer: after the last of the Check's own steps."""

_SECONDS: Final = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25)


class StepTimes:
    """The histogram.  A Check that is refused has no time in the steps behind that."""

    def __init__(self, registry: CollectorRegistry) -> None:
        seconds = Histogram(
            "ott_check_step_seconds", "Time in each step of a Check; only with metrics.steps.",
            ["step"], buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._of = {step: seconds.labels(step) for step in (*Step, ENCODE)}

    def decided(self, record: CheckRecord) -> None:
        """Observe every step that a Check has gone through."""
        for step, seconds in _durations(record.marks, record.began + record.seconds):
            self._of[step].observe(seconds)

    def decoded(self, seconds: float) -> None:
        """Observe the time before the Check's own."""
        self._of[Step.DECODE].observe(seconds)

    def encoded(self, seconds: float) -> None:
        """Observe the time after it."""
        self._of[ENCODE].observe(seconds)


def _durations(marks: Sequence[Mark], ended: float) -> list[tuple[Step, float]]:
    ends = (*marks, (Step.ALLOW, ended))
    return [(step, following - began) for (step, began), (_, following) in pairwise(ends)]
