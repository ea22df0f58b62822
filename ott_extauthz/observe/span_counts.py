"""What became of spans?  Counted: those that a collector took, and those that nobody will see."""

from prometheus_client import CollectorRegistry, Counter

from ott_extauthz.model.dropped_spans import Dropped


class SpanCounts:
    """The counters of one process; any thread may count."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._exported = Counter("ott_spans_exported", "Spans that the collector took.", registry=registry)
        self._dropped = Counter(
            "ott_spans_dropped", "Spans dropped: too many waited, or the collector did not take them.",
            ["why"], registry=registry,
        )  # fmt: skip
        for why in Dropped:
            self._dropped.labels(why)

    def exported(self, spans: int) -> None:
        """Count spans that the collector took."""
        self._exported.inc(spans)

    def dropped(self, spans: int, why: Dropped) -> None:
        """Count spans that nobody will see."""
        self._dropped.labels(why).inc(spans)
