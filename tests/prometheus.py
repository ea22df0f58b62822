"""A real Prometheus and promtool: Debian's, unpacked by the Makefile, or on the PATH."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import run
from typing import Any

import aiohttp
import pytest
import yaml

from ott_extauthz.demo.ports import free_ports


def program(name: str) -> str:
    """Return where `prometheus` or `promtool` is; skip the test where it is not."""
    folder = os.environ.get("PROMETHEUS_BIN", "")
    found = shutil.which(name, path=folder) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not here: Debian's package prometheus")
    return found


def promtool(*arguments: str | Path, text: str | None = None) -> tuple[int, str]:
    """Run promtool; returns its exit code and everything that it said."""
    done = run([program("promtool"), *arguments], input=text, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running server."""

    url: str

    async def _get(self, path: str, **parameters: str) -> Any:
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}{path}", params=parameters) as response:
            answer = await response.json()
        assert answer["status"] == "success", answer
        return answer["data"]

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the vector that an expression has now."""
        result: list[dict[str, Any]] = (await self._get("/api/v1/query", query=expression))["result"]
        return result

    async def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that fire, as Prometheus would send them."""
        alerts = (await self._get("/api/v1/alerts"))["alerts"]
        return [alert for alert in alerts if alert["state"] == "firing"]

    async def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        return {alert["labels"]["alertname"] for alert in await self.alerts()}

    async def fired(self, seconds: float) -> set[str]:
        """Return the names of the alerts that fired at any time in the last seconds."""
        fired = await self.query(f'max_over_time(ALERTS{{alertstate="firing"}}[{seconds * 1000:.0f}ms])')
        return {each["metric"]["alertname"] for each in fired}

    async def exemplars(self, expression: str) -> list[dict[str, Any]]:
        """Return the exemplars of the series in an expression, of all that was scraped."""
        found = await self._get("/api/v1/query_exemplars", query=expression, start="0", end="9999999999")
        return [exemplar for series in found for exemplar in series["exemplars"]]

    async def is_scraped(self, job: str) -> bool:
        """Whether every target of a job answered."""
        targets = [
            each for each in (await self._get("/api/v1/targets"))["activeTargets"] if each["labels"]["job"] == job
        ]
        return bool(targets) and all(each["health"] == "up" for each in targets)


@asynccontextmanager
async def running(
    folder: Path,
    jobs: Mapping[str, Sequence[str]],
    rules: Sequence[Path] = (),
    *,
    every: str = "1s",
    paths: Mapping[str, str] | None = None,
) -> AsyncIterator[Prometheus]:
    """Run a Prometheus that scrapes `jobs` (name to host:port) and evaluates `rules`, until the block ends."""
    (port,) = free_ports(1)
    scraped = [
        {
            "job_name": job,
            "metrics_path": (paths or {}).get(job, "/metrics"),
            "static_configs": [{"targets": list(targets)}],
        }
        for job, targets in jobs.items()
    ]
    config = {
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": scraped,
    }
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    with (folder / "prometheus.log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            program("prometheus"), f"--config.file={file}", f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=exemplar-storage",
            "--scrape.discovery-reload-interval=100ms",  # else the first scrape comes after 5 s
            stdout=log, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
    try:
        server = Prometheus(f"http://127.0.0.1:{port}")
        await _ready(server.url, process, folder / "prometheus.log")
        yield server
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _ready(url: str, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(30):
        while True:
            assert process.returncode is None, f"see {log}"
            try:
                async with aiohttp.ClientSession() as session, session.get(f"{url}/-/ready") as response:
                    if response.ok:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
