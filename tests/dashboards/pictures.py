"""``python -m tests.dashboards.pictures``: the pictures of docs/dashboards.md.

Real Check servers behind a real Envoy, a real issuer and a real Valkey are called for some minutes and tormented a
little; a real Prometheus scrapes them every second.  Each panel's own queries are then put to it, and drawn.
"""

import argparse
import asyncio
import json
import re
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from dashboards.__main__ import BOARDS
from ott_extauthz.demo.programs import find_envoy
from tests.chaos.callers import Deliveries
from tests.chaos.fleet import Fleet, Kind, started
from tests.dashboards.drawing import Series, draw
from tests.dashboards.promql import VARIABLES
from tests.dashboards.traffic import WIDER, CheckTraffic, Issuer, issuing
from tests.processes import VALKEY, StoreProcess, running
from tests.prometheus import Prometheus
from tests.prometheus import running as prometheus_running

DOCS: Final = Path(__file__).parents[2] / "docs"
RATE: Final = 60.0
STEPS: Final = 90
WINDOW: Final = "12s"
"""``$__rate_interval``: four scrapes at least, as Grafana takes."""


async def torment(fleet: Fleet, issuer: Issuer, store: StoreProcess, seconds: float) -> None:
    """Go through a bad day: a wider policy, a broken one, a slow store, a lost one, a restart, a rotation."""
    part = seconds / 10
    policy = fleet.folder / "policy.yaml"
    policy.write_text(json.dumps(WIDER), encoding="utf-8")
    await asyncio.sleep(3 * part)
    policy.write_text("routes: []\n", encoding="utf-8")
    await asyncio.sleep(part / 2)
    policy.write_text(json.dumps(WIDER | {"revision": "pictures.3"}), encoding="utf-8")
    await asyncio.to_thread(issuer.command, "keys", "rotate", "--now")
    await asyncio.sleep(part)
    store.pause()
    await asyncio.sleep(2)
    store.resume()
    await asyncio.sleep(2 * part)
    await asyncio.to_thread(store.command, "FLUSHALL")
    await asyncio.sleep(1.5 * part)
    server = fleet.servers[0]
    await asyncio.to_thread(fleet.process(server).stop)
    fleet.start(server)
    await fleet.until(server.is_ready)
    await asyncio.sleep(2 * part)


async def series_of(
    prometheus: Prometheus, target: dict[str, Any], job: str, span: tuple[float, float]
) -> list[Series]:
    """Return what one query gives over the whole time, or at its end."""
    (start, end), expr = span, target["expr"]
    chosen = {"$__rate_interval": WINDOW, "$__range": f"{int(end - start)}s", "$job": job}
    for name, value in {**VARIABLES, **chosen}.items():
        expr = expr.replace(name, value)
    if target["instant"]:
        found = (await prometheus._get("/api/v1/query", query=expr, time=f"{end}"))["result"]
        return [_series(target, one["metric"], [one["value"]]) for one in found]
    times = {"start": f"{start}", "end": f"{end}", "step": f"{(end - start) / STEPS}"}
    found = (await prometheus._get("/api/v1/query_range", query=expr, **times))["result"]
    return [_series(target, one["metric"], one["values"]) for one in found]


def _series(target: dict[str, Any], labels: dict[str, str], values: Sequence[tuple[float, str]]) -> Series:
    name = re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), target["legendFormat"])
    points = [(float(at), float(value)) for at, value in values if value != "NaN"]
    return Series(name, labels, points)


async def _pictures(folder: Path, seconds: float, out: Path) -> None:
    async with AsyncExitStack() as stack:
        store = stack.enter_context(running(VALKEY, folder / "store"))
        deliveries = await stack.enter_async_context(Deliveries().serving())
        (folder / "check").mkdir()
        kind = Kind(transports=("native",), store=store.url, drain={"wait": "3s", "grace": "2s"}, timeout="1s")
        fleet = await stack.enter_async_context(started(folder / "check", find_envoy(), deliveries.port, kind))
        issuer = await stack.enter_async_context(issuing(folder / "issuer", fleet.until))
        checks = [f"127.0.0.1:{server.admin}" for server in fleet.servers]
        jobs = {"check": checks, "issuer": [f"127.0.0.1:{issuer.admin}"]}
        prometheus = await stack.enter_async_context(prometheus_running(folder, jobs))
        begin = time.time()  # noqa: TID251 - Prometheus's clock
        calling = [asyncio.create_task(each) for each in (CheckTraffic(fleet, RATE).run(), issuer.ask())]
        await torment(fleet, issuer, store, seconds)
        for task in calling:
            assert not task.done(), task
            task.cancel()
        await asyncio.gather(*calling, return_exceptions=True)
        end = time.time()  # noqa: TID251
        for name, board in BOARDS.items():
            job = "issuer" if name == "issuer" else "check"
            await _picture(prometheus, board.as_json(), job, (begin, end - 1), out / f"dashboard-{name}.png")


async def _picture(
    prometheus: Prometheus, board: dict[str, Any], job: str, span: tuple[float, float], path: Path
) -> None:
    (start, end), data = span, {}
    for panel in board["panels"]:
        found = [await series_of(prometheus, target, job, span) for target in panel.get("targets", ())]
        data[panel["id"]] = [one for each in found for one in each if one.points]
    without = [panel["title"] for panel in board["panels"] if panel["type"] != "row" and not data[panel["id"]]]
    draw(board, data, (start, end), path)
    size = path.stat().st_size // 1000  # noqa: ASYNC240 - nothing else runs any more
    sys.stdout.write(f"{path.name}: {size} kB; nothing to show: {', '.join(without) or 'none'}\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.dashboards.pictures", description="Draw the dashboards.")
    parser.add_argument("--seconds", type=float, default=150, help="how long everything is called")
    parser.add_argument("--out", type=Path, default=DOCS, help="where the pictures go")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="ott-pictures-") as folder:
        asyncio.run(_pictures(Path(folder), options.seconds, options.out))


if __name__ == "__main__":
    main()
