"""``sqlite:///`` and ``postgresql://``: databases that are killed, emptied and put back from older copies."""

import asyncio
import os
import sqlite3
import time
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

from tests.chaos.faults import Fault
from tests.chaos.topology import TIMEOUT
from tests.postgres import PostgresProcess, home
from tests.proxies import DropProxy

DROPS = 20
PAUSE = 1.5


class Sqlite:
    """One file, written by every process of the run."""

    name = "sqlite"
    workers = 2
    fresh, replays = 15.0, 30.0
    has_lists = True
    has_clock = False
    races_may_be_lost = False
    lease = 0.0

    def __init__(self, folder: Path) -> None:
        self._file = folder / "used.db"
        self._copy = folder / "copy.db"

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    def setting(self, worker: int) -> dict[str, Any]:
        return {"url": f"sqlite:///{self._file}", "timeout": TIMEOUT}

    def faults(self) -> list[Fault]:
        return [
            Fault("file deleted", self._delete),
            Fault("stale copy put back", self._put_back, self._back_up),
            Fault("locked by another", self._lock),
        ]

    def _forget_log(self) -> None:
        for suffix in ("-wal", "-shm"):
            self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)

    async def _delete(self) -> None:
        self._file.unlink()
        self._forget_log()

    async def _back_up(self) -> None:
        def copied() -> None:
            self._copy.unlink(missing_ok=True)
            with closing(sqlite3.connect(self._file)) as source, closing(sqlite3.connect(self._copy)) as target:
                source.backup(target)

        await asyncio.to_thread(copied)

    async def _put_back(self) -> None:
        self._forget_log()
        os.replace(self._copy, self._file)  # noqa: PTH105 - one step, as a restore tool does it

    async def _lock(self) -> None:
        def locked() -> None:
            with closing(sqlite3.connect(self._file, isolation_level=None)) as connection:
                connection.execute("PRAGMA busy_timeout = 5000")
                connection.execute("BEGIN IMMEDIATE")
                time.sleep(PAUSE)
                connection.execute("ROLLBACK")

        await asyncio.to_thread(locked)


class Postgres:
    """One server.  The first Check server reaches it directly, the second through a proxy that spoils replies."""

    name = "postgresql"
    workers = 2
    fresh, replays = 25.0, 100.0
    has_lists = has_clock = True
    races_may_be_lost = False
    lease = 0.0

    def __init__(self) -> None:
        self._ending = AsyncExitStack()
        self._server: PostgresProcess | None = None
        self._proxy: DropProxy | None = None
        self._base: Path | None = None

    async def start(self) -> None:
        self._server = server = PostgresProcess(self._ending.enter_context(home()))
        await asyncio.to_thread(server.initialise)
        self._base = await asyncio.to_thread(server.copy_of_data, "base")
        await asyncio.to_thread(server.start)
        self._ending.callback(server.kill)
        self._proxy = await self._ending.enter_async_context(DropProxy(server.port))

    async def stop(self) -> None:
        await self._ending.aclose()

    @property
    def _up(self) -> PostgresProcess:
        assert self._server is not None
        return self._server

    def setting(self, worker: int) -> dict[str, Any]:
        assert self._proxy is not None
        port = self._up.port if worker == 0 else self._proxy.port
        return {"url": f"postgresql://postgres@127.0.0.1:{port}/postgres", "timeout": TIMEOUT}

    def faults(self) -> list[Fault]:
        return [
            Fault("kill -9, restart", self._kill),
            Fault("restart with stale data", self._restart_stale),
            Fault("TRUNCATE", self._truncate),
            Fault("SIGSTOP, SIGCONT", self._pause),
            Fault("connections cut", self._cut),
            Fault("replies dropped", self._drop),
        ]

    async def _kill(self) -> None:
        await asyncio.to_thread(self._up.kill)
        await asyncio.to_thread(self._start_again)

    def _start_again(self) -> None:
        (self._up.data / "postmaster.pid").unlink(missing_ok=True)
        self._up.start()

    async def _restart_stale(self) -> None:
        """Come back with the data directory of the very beginning."""
        assert self._base is not None
        await asyncio.to_thread(self._up.kill)

        def put_back() -> None:
            self._up.put_back(self._up.home / "base")
            self._up.copy_of_data("base")
            self._start_again()

        await asyncio.to_thread(put_back)

    async def _truncate(self) -> None:
        await asyncio.to_thread(self._up.sql, "TRUNCATE ott_used")

    async def _pause(self) -> None:
        self._up.pause()
        await asyncio.sleep(PAUSE)
        self._up.resume()

    async def _cut(self) -> None:
        assert self._proxy is not None
        statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ott-extauthz'"
        for _ in range(3):
            self._proxy.cut()
            await asyncio.to_thread(self._up.sql, statement)
            await asyncio.sleep(0.1)

    async def _drop(self) -> None:
        assert self._proxy is not None
        for _ in range(DROPS):
            self._proxy.drop_replies = 1
            await asyncio.sleep(0.1)
        self._proxy.drop_replies = 0
