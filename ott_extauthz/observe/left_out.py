"""Which lines are not in the log, and why not?  Counted, by a closed list of reasons."""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Metric
from prometheus_client.registry import Collector

LINES: Final = "ott_log_lines_left_out"


class LeftOut(StrEnum):
    """What a line told of, or what became of it: the label of ``ott_log_lines_left_out_total``."""

    REFUSALS = "refusals"
    REPLAYS = "replays"
    FAULTS = "faults"
    UNWRITTEN = "unwritten"
    """Whatever it told of: nobody reads our standard error, or nobody can any more."""


class LinesLeftOut:
    """The counter of one process; any thread may count."""

    def __init__(self, registry: CollectorRegistry) -> None:
        lines = Counter(
            LINES,
            "Lines that are not in the log: too many in a second, or (unwritten) standard error did not take them.",
            ["what"], registry=registry,
        )  # fmt: skip
        self._of = {what: lines.labels(what) for what in LeftOut}

    def left_out(self, what: LeftOut) -> None:
        """Count a line."""
        self._of[what].inc()


class WithParents(Collector):
    """The sums of several workers, with the lines that their parent could not write: it has no file to sum."""

    def __init__(self, sums: Collector, lost: Callable[[], int]) -> None:
        self._sums = sums
        self._lost = lost

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        for metric in self._sums.collect():
            if metric.name == LINES:
                metric.samples = [
                    sample._replace(value=sample.value + self._lost())
                    if sample.labels["what"] == LeftOut.UNWRITTEN
                    else sample
                    for sample in metric.samples
                ]
            yield metric
