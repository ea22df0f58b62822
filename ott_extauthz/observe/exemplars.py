"""Which request is an example of a bucket?  The last sampled one of each, by its trace id, bounded by the buckets.

Kept by ourselves, since the client library keeps none where there are several processes.  What a worker has, it tells
its parent: the newest of all workers is shown.
"""

import math
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

import msgspec
from prometheus_client import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as SampleExemplar
from prometheus_client.utils import floatToGoString

from ott_extauthz.ports import CheckRecord

HISTOGRAM: Final = "ott_check_seconds"
MOST_KEPT: Final = 10_000
"""Of the newest, in this process: a policy of 350 routes whose every bucket has one."""

MOST_TOLD: Final = 500
"""Of the newest, to a parent: one line of a worker's output."""

Place = tuple[str, str, str]
"""A bucket: route, outcome, upper bound as the exposition writes it."""


class Exemplar(msgspec.Struct, frozen=True, array_like=True):
    """One request: its bucket, its trace, what it took, and when it ended (seconds since the epoch)."""

    route: str
    outcome: str
    bound: str
    trace_id: str
    seconds: float
    at: float

    @property
    def place(self) -> Place:
        """Which bucket it is in."""
        return self.route, self.outcome, self.bound


class Exemplars:
    """The last sampled request of each bucket."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._names = [floatToGoString(bound) for bound in (*bounds, math.inf)]  # type: ignore[no-untyped-call]
        self._latest: dict[Place, Exemplar] = {}
        self._untold = False

    def decided(self, record: CheckRecord, route: str, outcome: str) -> None:
        """Keep the request of a decision if its trace is sampled: by Envoy, or without its word by the caller."""
        context = record.trace
        if context is None or not context.is_sampled:
            return
        bound = self._names[bisect_left(self._bounds, record.seconds)]
        at = record.at_ms / 1000 + record.seconds
        place = route, outcome, bound
        self._latest.pop(place, None)  # to be the last of them: of too many the oldest goes
        self._latest[place] = Exemplar(route, outcome, bound, context.trace_id, record.seconds, at)
        if len(self._latest) > MOST_KEPT:
            del self._latest[next(iter(self._latest))]
        self._untold = True

    def forget(self, routes: Collection[str]) -> None:
        """Let go of the requests of these routes."""
        self._latest = {place: each for place, each in self._latest.items() if each.route not in routes}

    def latest(self) -> list[Exemplar]:
        """Return the exemplars."""
        return list(self._latest.values())

    def told(self) -> list[Exemplar] | None:
        """Return the newest for a parent, or None where nothing is new since the last time."""
        if not self._untold:
            return None
        self._untold = False
        return sorted(self._latest.values(), key=lambda each: each.at, reverse=True)[:MOST_TOLD]


class WithExemplars(Collector):
    """The metrics of another collector, with the exemplars in their buckets."""

    def __init__(self, metrics: Collector, exemplars: Iterable[Exemplar]) -> None:
        self._metrics = metrics
        self._of: dict[Place, Exemplar] = {}
        for each in sorted(exemplars, key=lambda each: each.at):
            self._of[each.place] = each

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        for metric in self._metrics.collect():
            if metric.name == HISTOGRAM:
                metric.samples = [
                    sample._replace(exemplar=self._shown(sample.labels)) if "le" in sample.labels else sample
                    for sample in metric.samples
                ]
            yield metric

    def _shown(self, labels: dict[str, str]) -> SampleExemplar | None:
        found = self._of.get((labels["route"], labels["outcome"], labels["le"]))
        return None if found is None else SampleExemplar({"trace_id": found.trace_id}, found.seconds, found.at)
