"""Do all the worker processes serve?  The parent's own gauge; one that restarts over and over shows as a gap."""

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class WorkersServing(Collector):
    """How many workers serve, and how many do not."""

    def __init__(self, are_serving: Callable[[], Sequence[bool]]) -> None:
        self._are_serving = are_serving

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauge."""
        gauge = GaugeMetricFamily("ott_workers", "Worker processes, by whether they serve.", labels=["serving"])
        states = self._are_serving()
        gauge.add_metric(["yes"], sum(states))
        gauge.add_metric(["no"], len(states) - sum(states))
        yield gauge
