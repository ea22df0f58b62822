"""How do the metrics leave?  As Prometheus text; as OpenMetrics, which alone has exemplars, to whoever asks for it."""

import os
from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from ott_extauthz.observe.departures import Departures, Present
from ott_extauthz.observe.exemplars import Exemplar, WithExemplars
from ott_extauthz.observe.left_out import WithParents

WORKERS_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Set by the parent of several workers: each keeps its values in this folder and the parent shows their sum."""

_OPENMETRICS: Final = "application/openmetrics-text"


def exposition(
    registry: CollectorRegistry,
    accept: str = "",
    exemplars: Iterable[Exemplar] = (),
    departures: Departures | None = None,
) -> tuple[bytes, str]:
    """Return the registry's metrics as text in a form that ``accept`` (RFC 9110 §12.5.1) names, and its content type.

    ``exemplars`` show in OpenMetrics only; without ``departures`` every series shows for ever.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter and histogram, which nobody asks for
    shown: Collector = registry if departures is None else Present(registry, departures)
    if _OPENMETRICS not in accept:
        return generate_latest(_only(shown)), CONTENT_TYPE_PLAIN_0_0_4
    text: bytes = openmetrics.generate_latest(_only(WithExemplars(shown, exemplars)))  # type: ignore[no-untyped-call]
    return text, openmetrics.CONTENT_TYPE_LATEST


def _only(collector: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(collector)
    return registry


def workers_registry(lost: Callable[[], int] = lambda: 0) -> CollectorRegistry:
    """Return a registry that sums the values of all workers of this folder; ``lost`` are the parent's own log lines."""
    sums = MultiProcessCollector(None, path=os.environ[WORKERS_FOLDER])  # type: ignore[no-untyped-call]
    return _only(WithParents(sums, lost))
