"""Used-lists over real databases, and what a test may ask of those."""

import dataclasses
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ott_extauthz.ports import Clock, Use
from ott_extauthz.sections.serving import ClockBounds
from ott_extauthz.sections.store import Store
from ott_extauthz.stores.sqllist import postgres as postgres_store
from ott_extauthz.stores.sqllist import sqlite as sqlite_store
from ott_extauthz.stores.sqllist.list import SqlUsedList
from tests.fakes.clock import SkewedClock
from tests.postgres import WHY_NOT, PostgresProcess, postgres
from tests.used_lists import BOUNDS, Outcomes, a_use, settings_for

SQL_KINDS = ("sqlite", "postgresql")


@dataclasses.dataclass(frozen=True)
class SqlStore:
    """One database, whichever it is."""

    url: str
    sql: Callable[[str], str]
    margin_of: Callable[[ClockBounds], int]
    server: PostgresProcess | None = None
    path: Path | None = None

    @property
    def margin_ms(self) -> int:
        return self.margin_of(BOUNDS)

    def since_ms(self) -> int:
        return int(self.sql("SELECT since_ms FROM ott_fence"))

    def used(self) -> int:
        return int(self.sql("SELECT count(*) FROM ott_used"))

    def use_after_fence(self, **fields: Any) -> Use:
        """Make a use that the fence of now lets through by one millisecond."""
        return a_use(**{"issued_at_ms": self.since_ms() + self.margin_ms + 1, **fields})


def sqlite_at(path: Path) -> SqlStore:
    def sql(statement: str) -> str:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as connection:
            row = connection.execute(statement).fetchone()
        return "" if row is None else str(row[0])

    return SqlStore(f"sqlite://{path}", sql, sqlite_store.fence_margin_ms, path=path)


def delete_files(path: Path) -> None:
    """Delete a SQLite database and what belongs to it, under whoever has it open."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def of_server(server: PostgresProcess) -> SqlStore:
    return SqlStore(server.url, server.sql, postgres_store.fence_margin_ms, server=server)


@contextmanager
def sql_store(kind: str, folder: Path) -> Iterator[SqlStore]:
    """Have a database of a kind for the length of a block."""
    if kind == "sqlite":
        yield sqlite_at(folder / "used.db")
        return
    if WHY_NOT:
        pytest.skip(WHY_NOT)
    with postgres() as server:
        yield of_server(server)


@asynccontextmanager
async def sql_listed(
    store: SqlStore | Store, *, bounds: ClockBounds = BOUNDS, clock: Clock | None = None
) -> AsyncIterator[Outcomes]:
    """Have a started used-list for the length of a block."""
    settings = settings_for(store.url) if isinstance(store, SqlStore) else store
    used_list = SqlUsedList(settings=settings, bounds=bounds, clock=clock or SkewedClock())
    await used_list.start()
    try:
        yield Outcomes(used_list)
    finally:
        await used_list.close()


WORKER = """\
import asyncio, sys
from ott_extauthz.ports import Use, UsedListError
from tests.sql_lists import sql_listed
from tests.used_lists import settings_for

async def main(url):
    async with sql_listed(settings_for(url)) as used_list:
        print("ready", flush=True)
        for line in sys.stdin:
            key, nonce, *numbers = line.split()
            issued, keep, now = map(int, numbers)
            use = Use(key=bytes.fromhex(key), nonce=bytes.fromhex(nonce), issued_at_ms=issued, keep_until_ms=keep,
                      now_ms=now)
            try:
                outcome = (await used_list.mark_used(use, timeout=4)).name
            except UsedListError as error:
                outcome = error.token_state.name
            print(outcome, flush=True)

asyncio.run(main(sys.argv[1]))
"""


class Worker:
    """A process of its own with a used-list of its own; spends what it is told to and says what came of it."""

    def __init__(self, url: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, use: Use) -> None:
        assert self.process.stdin is not None
        words = (use.key.hex(), use.nonce.hex(), use.issued_at_ms, use.keep_until_ms, use.now_ms)
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def end(self, *, kill: bool = False) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if kill:
            self.process.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=10)


@contextmanager
def workers(url: str, count: int) -> Iterator[list[Worker]]:
    started = [Worker(url) for _ in range(count)]
    try:
        for worker in started:
            assert worker.hear() == "ready"
        yield started
    finally:
        for worker in started:
            worker.end(kill=True)
