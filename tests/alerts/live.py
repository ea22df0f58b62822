"""The shipped alerts over something that runs: a real Prometheus, with seconds for the minutes of the rules."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.alerts.rules import ALERTS, shortened
from tests.prometheus import Prometheus, running

SECONDS = 12
EVERY = 0.25
WITHIN = 60.0
OF_A_BUSY_MACHINE = {
    "OttP99OverBudget", "OttP99NearFilterTimeout", "OttLatencyBurnsFast", "OttLatencyBurnsSlowly", "OttDeadlineTooNear",
    "OttLittleTimeLeft", "OttSpendSlow",
}  # fmt: skip
"""What may fire without a cause of ours, where other work takes the processor."""


class Watch:
    """Which alerts fired since everybody was scraped first, and whether Prometheus can say of each what it means."""

    def __init__(self, prometheus: Prometheus) -> None:
        self.prometheus = prometheus
        self._since = 0.0

    async def until_quiet(self) -> set[str]:
        """Wait until the scrapes are seen by the rules; return what fires without a cause."""
        deadline = _now() + WITHIN
        while "OttNotScraped" in (firing := await self.prometheus.firing()):
            assert _now() < deadline, "nobody is scraped"
            await asyncio.sleep(EVERY)
        self._since = _now()
        return firing - OF_A_BUSY_MACHINE

    async def fired(self) -> set[str]:
        """Return the alerts that fired so far, having read what is said of those that do."""
        for alert in await self.prometheus.alerts():
            told = " ".join(alert["annotations"].values())
            assert "no value" not in told, told
            assert "error expanding" not in told, told
        return await self.prometheus.fired(_now() - self._since)

    async def fire(self, *alerts: str, within: float = WITHIN) -> bool:
        """Whether all of them have fired, or do within some seconds."""
        deadline = _now() + within
        while not set(alerts) <= await self.fired():
            if _now() > deadline:
                return False
            await asyncio.sleep(EVERY / 2)
        return True


def _now() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def watched(folder: Path, *, envoy: str, **jobs: list[str]) -> AsyncIterator[Watch]:
    """Scrape these admin addresses, with the shipped rules, until the block ends; yields once all of them answered."""
    rules = folder / "alerts.yaml"
    rules.write_text(shortened(ALERTS.read_text(), SECONDS))
    targets, every = {**jobs, "envoy": [envoy]}, f"{EVERY * 1000:.0f}ms"
    async with running(folder, targets, [rules], every=every, paths={"envoy": "/stats/prometheus"}) as prometheus:
        while not all([await prometheus.is_scraped(job) for job in targets]):  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(EVERY / 2)
        yield Watch(prometheus)
