"""What does one spend cost in SQLite and in PostgreSQL, each commit on the disk: alone, and with many in flight?

The servers' share of the machine is not counted in CPU µs; the disk decides the rest, so the floor (one fdatasync) is
printed beside.  The run is void unless the database holds one row for every spend.
"""

import asyncio
import dataclasses
import os
import sys
import tempfile
import time
from pathlib import Path

from bench.spend import CLOCK, _use
from ott_extauthz.ports import SpendOutcome
from ott_extauthz.sections.serving import ClockBounds
from ott_extauthz.sections.store import Store
from ott_extauthz.stores.sqllist.list import SqlUsedList
from tests.postgres import WHY_NOT
from tests.sql_lists import SQL_KINDS, SqlStore, sql_store

BOUNDS = ClockBounds.model_validate({"max_skew": "5s"})
SPENDS = {1: 100, 8: 800, 64: 3000}


def fsync_ms(folder: Path) -> float:
    """Return what one small durable append costs on this disk, without anything of ours."""
    took = []
    with (folder / "floor").open("wb", buffering=0) as file:
        for _ in range(50):
            before = time.perf_counter()
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - before)
    return sorted(took)[len(took) // 2] * 1000


async def measure(store: SqlStore) -> None:
    used_list = SqlUsedList(
        settings=Store.model_validate({"url": store.url, "timeout": "5s"}), bounds=BOUNDS, clock=CLOCK
    )
    await used_list.start()
    for in_flight, count in SPENDS.items():
        pending = iter([_use() for _ in range(count)])
        waits: list[float] = []

        async def worker(pending=pending, waits=waits) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001 - above
            for use in pending:
                before = time.perf_counter()
                spend = await used_list.mark_used(dataclasses.replace(use, now_ms=CLOCK.now_ms()), timeout=5)
                waits.append(time.perf_counter() - before)
                if spend.outcome is not SpendOutcome.FIRST_USE:
                    raise AssertionError("a fresh token was not accepted; the run is void")

        cpu, wall = time.process_time(), time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(in_flight)))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        waits.sort()
        print(
            f"  {in_flight:3d} in flight: {count / wall:7.0f} spends/s, {cpu / count * 1e6:6.0f} µs CPU each, "
            f"p50 {waits[count // 2] * 1000:6.2f} ms, p99 {waits[count * 99 // 100] * 1000:6.2f} ms"
        )
    await used_list.close()
    if store.used() != sum(SPENDS.values()):
        raise AssertionError("the database does not hold one row for every spend; the run is void")


def main() -> int:
    for kind in SQL_KINDS:
        if kind == "postgresql" and WHY_NOT:
            print(f"{kind}: {WHY_NOT}")
            continue
        with tempfile.TemporaryDirectory() as folder, sql_store(kind, Path(folder)) as store:
            print(f"{kind}, one fdatasync of this disk {fsync_ms(Path(folder)):.2f} ms:")
            asyncio.run(measure(store))
    return 0


if __name__ == "__main__":
    sys.exit(main())
