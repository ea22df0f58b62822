"""Which lines are not in the log, and why not?  Counted, by a closed list of reasons."""

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter


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
            "ott_log_lines_left_out",
            "Lines that are not in the log: too many in a second, or (unwritten) standard error did not take them.",
            ["what"], registry=registry,
        )  # fmt: skip
        self._of = {what: lines.labels(what) for what in LeftOut}

    def left_out(self, what: LeftOut) -> None:
        """Count a line."""
        self._of[what].inc()
