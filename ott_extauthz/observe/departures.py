"""Which series speak of what a reload took away?  They are shown a while longer, and then no more.

A route, client or audience that no policy in force names any more

- stays for :data:`KEPT_SECONDS` after a scrape first saw that it is gone: Checks under way still count, the last of it
  is scraped, and an alert over it has the time to fire;
- then goes whole.  Prometheus marks its series as ended, and one that comes back is a counter that begins anew;
- goes at once where more than :data:`MOST` names are gone: a policy that is written anew every minute, with ever new
  names, makes no endless exposition.

Of several workers' sums a series goes in one moment, by what the parent knows of all of them: one that a worker took
out of the sum by itself would make it fall, and ``rate`` takes that for a reset and all that is left for new.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

KEPT_SECONDS: Final = 300.0
MOST: Final = 200
"""Names that are gone and still shown."""

Known = Mapping[str, Collection[str]]
"""For each label that is judged, every value that something in force names."""

Series = tuple[str, str]
"""All series with this value of this label."""


Labelled = Mapping[str, Sequence[MetricWrapperBase]]
"""The metrics that have a label."""


class Departures:
    """Remembers since when names are gone.

    ``known`` returns None while nobody can say what is in force; then what was said last counts.  ``forget`` is told
    what has gone, so that its memory can go as well.
    """

    def __init__(
        self,
        known: Callable[[], Known | None],
        monotonic: Callable[[], float],
        forget: Callable[[Collection[Series]], None] = lambda _: None,
    ) -> None:
        """``monotonic`` is a clock in seconds that never jumps."""
        self._known = known
        self._monotonic = monotonic
        self._forget = forget
        self._said: Known | None = None
        self._since: dict[Series, float] = {}

    def present(self, metrics: Iterable[Metric]) -> Sequence[Metric]:
        """Return the metrics of one scrape, without the series that have gone."""
        shown, known = tuple(metrics), self._known() or self._said
        self._said = known
        gone = set() if known is None else self._gone(shown, known)
        if gone:
            for metric in shown:
                metric.samples = [each for each in metric.samples if gone.isdisjoint(each.labels.items())]
            self._forget(gone)
        return shown

    def _gone(self, metrics: Iterable[Metric], known: Known) -> set[Series]:
        now, before = self._monotonic(), self._since
        pairs = {pair for metric in metrics for sample in metric.samples for pair in sample.labels.items()}
        self._since = {
            (label, name): before.get((label, name), now)
            for label, name in pairs
            if label in known and name not in known[label]
        }
        latest = sorted(self._since, key=lambda each: (-self._since[each], each))
        return {each for place, each in enumerate(latest) if place >= MOST or now - self._since[each] >= KEPT_SECONDS}


class Present(Collector):
    """The metrics of another collector, without the series that have gone."""

    def __init__(self, metrics: Collector, departures: Departures) -> None:
        self._metrics = metrics
        self._departures = departures

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        yield from self._departures.present(self._metrics.collect())


def forget_series(gone: Iterable[Series], metrics: Labelled) -> None:
    """Take series out of metrics, in one process: what counts again begins at 0."""
    for label, name in gone:
        for metric in metrics.get(label, ()):
            metric.remove_by_labels({label: name})


def known_to_all(each: Iterable[Known | None]) -> Known | None:
    """Return what any of several workers knows; None where one cannot say, or there is none."""
    found = list(each)
    known = [one for one in found if one is not None]
    if not known or len(known) < len(found):
        return None
    return {
        label: frozenset().union(*(one[label] for one in known))
        for label in known[0]
        if all(label in one for one in known)
    }
