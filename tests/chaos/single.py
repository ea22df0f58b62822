"""``redis://`` on one primary and ``memory://``: the stores whose faults strike the only copy there is."""

import asyncio
import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from tests.chaos.faults import Fault
from tests.chaos.topology import TIMEOUT
from tests.processes import Engine, StoreProcess, free_port
from tests.proxies import DropProxy

DROPS = 40
PAUSE = 1.5


class OnePrimary:
    """One server.  The first Check server reaches it directly, the second through a proxy that spoils replies.

    With ``appendonly`` its data survive in the log, else in the snapshots that the faults have it take.
    """

    workers = 2
    fresh, replays = 60.0, 600.0
    has_lists = has_clock = True
    races_may_be_lost = False
    lease = 0.0

    def __init__(self, engine: Engine, folder: Path, *, appendonly: bool) -> None:
        self.name = f"redis-{engine.name.removesuffix('-server')}"
        self._appendonly = appendonly
        self._store = StoreProcess(engine, folder / "store", appendonly="yes" if appendonly else "no")
        self._copy = folder / "copy"
        self._ending = AsyncExitStack()
        self._proxy: DropProxy | None = None

    async def start(self) -> None:
        await asyncio.to_thread(self._store.start)
        self._proxy = await self._ending.enter_async_context(DropProxy(self._store.port))

    async def stop(self) -> None:
        await self._ending.aclose()
        await asyncio.to_thread(self._store.kill)

    def setting(self, worker: int) -> dict[str, Any]:
        assert self._proxy is not None
        return {"url": self._store.url if worker == 0 else self._proxy.url, "timeout": TIMEOUT}

    def faults(self) -> list[Fault]:
        return [
            Fault("kill -9, restart", self._kill, self._keep),
            Fault("restart empty", self._restart_empty),
            Fault("restart with stale data", self._restart_stale, self._copy_data),
            Fault("FLUSHALL", self._flush),
            Fault("SIGSTOP, SIGCONT", self._pause),
            Fault("connections cut", self._cut),
            Fault("replies dropped", self._drop),
            Fault("promoted", self._promote),
            Fault("eviction", self._evict, self._keep),
            Fault("SCRIPT FLUSH", self._forget_scripts),
        ]

    async def _command(self, *words: str | int) -> Any:
        return await asyncio.to_thread(self._store.command, *words)

    async def _keep(self) -> None:
        if not self._appendonly:
            await self._command("SAVE")

    async def _kill(self) -> None:
        await asyncio.to_thread(self._store.kill)
        await asyncio.sleep(0.3)
        await asyncio.to_thread(self._store.start)

    async def _restart_empty(self) -> None:
        await asyncio.to_thread(self._store.restart_empty)

    async def _copy_data(self) -> None:
        await self._keep()
        shutil.rmtree(self._copy, ignore_errors=True)
        await asyncio.to_thread(shutil.copytree, self._store.folder, self._copy)

    async def _restart_stale(self) -> None:
        """Come back with what the disk held seconds ago, as from a snapshot of the volume."""
        await asyncio.to_thread(self._store.kill)
        shutil.rmtree(self._store.folder)
        self._copy.rename(self._store.folder)
        await asyncio.to_thread(self._store.start)

    async def _flush(self) -> None:
        await self._command("FLUSHALL")

    async def _pause(self) -> None:
        self._store.pause()
        await asyncio.sleep(PAUSE)
        self._store.resume()

    async def _cut(self) -> None:
        assert self._proxy is not None
        for _ in range(5):
            self._proxy.cut()
            await self._command("CLIENT", "KILL", "TYPE", "normal")
            await asyncio.sleep(0.1)

    async def _drop(self) -> None:
        assert self._proxy is not None
        for _ in range(DROPS):
            self._proxy.drop_replies = 1
            await asyncio.sleep(0.05)
        self._proxy.drop_replies = 0

    async def _promote(self) -> None:
        await self._command("REPLICAOF", "127.0.0.1", free_port())
        await asyncio.sleep(0.3)
        await self._command("REPLICAOF", "NO", "ONE")

    async def _evict(self) -> None:
        """Let it throw away live keys, as a memory limit with the wrong policy does, and put it right again."""
        used = (await asyncio.to_thread(self._store.info, "memory"))["used_memory"]
        await self._command("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
        await self._command("CONFIG", "SET", "maxmemory", int(used) * 9 // 10)
        await asyncio.sleep(0.5)
        await self._command("CONFIG", "SET", "maxmemory-policy", "noeviction")
        await self._command("CONFIG", "SET", "maxmemory", 0)

    async def _forget_scripts(self) -> None:
        await self._command("SCRIPT", "FLUSH")


class Memory:
    """No store at all: the one Check server remembers, and forgets when it ends."""

    name = "memory"
    workers = 1
    fresh, replays = 100.0, 500.0
    has_lists = has_clock = False
    races_may_be_lost = False
    lease = 0.0

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    def setting(self, worker: int) -> dict[str, Any]:
        return {"url": "memory://"}

    def faults(self) -> list[Fault]:
        return []
