"""What do the servers expose?  Every metric by the name that a query knows it by, with its labels."""

from functools import cache
from typing import Final

from tests.architecture.tables import registries

_SUFFIXES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "counter": {"_total": ()},
    "gauge": {"": ()},
    "histogram": {"_bucket": ("le",), "_sum": (), "_count": ()},
}
PROMETHEUS_OWN: Final = {"up": frozenset[str](), "ALERTS": frozenset({"alertname", "alertstate"})}


@cache
def exposed() -> dict[str, frozenset[str]]:
    """Return the metrics of a Check server and of an issuer, and the few that Prometheus makes itself."""
    found: dict[str, frozenset[str]] = dict(PROMETHEUS_OWN)
    for registry in registries():
        for collector in registry._collector_to_names:
            for family in collector.collect():
                labels = getattr(collector, "_labelnames", getattr(family, "_labelnames", ()))
                for suffix, more in _SUFFIXES[family.type].items():
                    found[family.name + suffix] = frozenset((*labels, *more))
    return found
