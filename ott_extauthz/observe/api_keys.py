"""Does an API key end soon?  Counted at each scrape, so that time alone moves the gauges; nobody is named."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from ott_extauthz.observe.in_force import Report

_DAY_MS: Final = 86_400_000
WITHIN: Final = {"1d": _DAY_MS, "7d": 7 * _DAY_MS, "30d": 30 * _DAY_MS}


class ApiKeyGauges(Collector):
    """How many keys there are, and how many of them end soon; of several workers, what the fullest has in force."""

    def __init__(self, reports: Callable[[], Iterable[Report]], now_ms: Callable[[], int]) -> None:
        self._reports = reports
        self._now_ms = now_ms

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges; a key that has ended is in none of them."""
        now_ms = self._now_ms()
        left = [[end - now_ms for end in report.api_key_ends_ms if end > now_ms] for report in self._reports()]
        there = GaugeMetricFamily("ott_api_keys", "API keys in force that have not ended.")
        there.add_metric([], max(map(len, left), default=0))
        ending = GaugeMetricFamily(
            "ott_api_keys_ending", "API keys in force that end within this time: make new ones.", labels=["within"]
        )
        for name, span_ms in WITHIN.items():
            ending.add_metric([name], max((sum(each <= span_ms for each in one) for one in left), default=0))
        yield there
        yield ending


def show_api_keys(
    registry: CollectorRegistry, reports: Callable[[], Iterable[Report]], now_ms: Callable[[], int]
) -> None:
    """Have a registry show how many API keys there are, and end soon."""
    registry.register(ApiKeyGauges(reports, now_ms))
