"""What do traces cost?  Their parts by themselves; and CPU per Check without, with some calls traced, and with all.

``python -m bench.tracing [TREE]`` measures another tree's server beside them, without traces: what it was before.
"""

import asyncio
import secrets
import sys
import time
import timeit
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench import check_cost, servers
from bench.check_cost import Case
from bench.servers import configure, resident_mib, running
from bench.tokens import debit
from ott_extauthz.observe.spans import check_spans
from ott_extauthz.wire.otlp import export_request
from tests.collector import Collector, collecting
from tests.unit.observe.test_spans import Traced

ROUNDS: Final = 3
RATIOS: Final = {"on, none traced": 0.0, "on, 1 % traced": 0.01, "on, 10 % traced": 0.1, "on, all traced": 1.0}
_SERVE: Final = ("-m", "ott_extauthz", "serve")


async def parts() -> None:
    """Print what noting, making and encoding take, the least of many rounds: others on the machine only add to it."""
    traced = Traced()
    spans = await traced.check(traced.desk.facts(("x-ott", traced.desk.token())))
    [timed] = traced.told
    record = timed.record or sys.exit("no decision was noted")
    silent = Traced(ratio=0).listener

    def note() -> None:
        silent.arrived()
        silent.spend_took(0.001)
        silent.decided(record)
        silent.answered()

    maker = replace(traced.maker, entropy=secrets.token_bytes)
    print(f"a Check that is not traced: {_least(note):.1f} us to note it")
    made, encoded = _least(lambda: check_spans(maker, timed)), _least(lambda: export_request(spans).SerializeToString())
    print(
        f"one that is: {made:.0f} us to make its {len(spans)} spans, {encoded:.0f} us to encode them, after its answer"
    )


def _least(what: Callable[[], object]) -> float:
    return min(timeit.repeat(what, timer=time.thread_time, number=200, repeat=100)) / 200 * 1e6


async def tracing(other: Path | None) -> None:
    """Print CPU per Check of each way, memory, and the time to start."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    with collecting() as collector:
        for _ in range(ROUNDS):
            if other is not None:
                found.setdefault("another tree", []).append(await _measured(None, collector, other))
            found.setdefault("off", []).append(await _measured(None, collector))
            for name, ratio in RATIOS.items():
                found.setdefault(name, []).append(await _measured(ratio, collector))
        print(f"CPU per Check of the server, {check_cost.CHECKS} checks, native, memory, median of {ROUNDS} rounds:")
        base = _median([cpu for cpu, _, _ in found["off"]])
        for name, values in found.items():
            cpu, memory, started = (_median(list(column)) for column in zip(*values, strict=True))
            print(
                f"  {name:16} {cpu:5.0f} us  {cpu / base:5.2f} x  idle {memory:3.0f} MiB  serving after {started:.2f} s"
            )
        print(f"  the collector took {sum(collector.batches)} spans in {len(collector.batches)} batches")


async def _measured(ratio: float | None, collector: Collector, tree: Path | None = None) -> tuple[float, float, float]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        configure(folder, transport="native", store="memory://", audit=True)
        if ratio is not None:
            with (folder / "ott.yaml").open("a") as file:
                file.write(f"tracing: {{endpoint: 'http://{collector.address}', ratio: {ratio}}}\n")
        before, servers.ROOT = servers.ROOT, tree or servers.ROOT
        try:
            async with running(*_SERVE, folder=folder) as (process, started):
                memory = resident_mib(process.pid)
            return await check_cost.measured(Case("memory", _SERVE, debit), folder), memory, started
        finally:
            servers.ROOT = before


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


if __name__ == "__main__":
    asyncio.run(parts())
    asyncio.run(tracing(Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else None))
