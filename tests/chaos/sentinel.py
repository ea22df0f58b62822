"""``redis+sentinel://``: a primary, two replicas, three sentinels; with or without ``wait: all``."""

import asyncio
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.chaos.faults import Fault
from tests.chaos.topology import MARGIN, TIMEOUT
from tests.processes import Engine, StoreProcess

NAME = "chaos"
FAILOVER_WITHIN = 20.0
LEASE = 2.0
"""A new primary's fence lies so much later: an old one may still be trusted for as long."""


async def until(holds: Callable[[], bool], within: float = FAILOVER_WITHIN) -> None:
    """Ask again and again, off the event loop; a server that is not there says no."""

    def asked() -> bool:
        try:
            return holds()
        except Exception:  # noqa: BLE001 - whatever it is, it does not hold yet
            return False

    deadline = time.monotonic() + within
    while not await asyncio.to_thread(asked):
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.05)


class SentinelProcess(StoreProcess):
    """A sentinel: the same program, which wants a file that it may write to."""

    def __init__(self, engine: Engine, folder: Path, watched: int) -> None:
        super().__init__(engine, folder)
        self._watched = watched

    def _launched(self) -> "subprocess.Popen[bytes]":
        assert self.engine.program is not None
        config = self.folder / "sentinel.conf"
        config.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\n"
            f"sentinel monitor {NAME} 127.0.0.1 {self._watched} 2\nsentinel down-after-milliseconds {NAME} 700\n"
            f"sentinel failover-timeout {NAME} 3000\nsentinel parallel-syncs {NAME} 2\n"
        )
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [str(self.engine.program), str(config), "--sentinel"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip


class Sentinels:
    """Servers that fail over by themselves."""

    workers = 2
    fresh, replays = 50.0, 500.0
    has_lists = has_clock = True
    races_may_be_lost = False
    lease = LEASE

    def __init__(self, engine: Engine, folder: Path, *, waits: bool) -> None:
        self.name = "redis+sentinel, wait: all" if waits else "redis+sentinel"
        self._waits = waits
        self._nodes = [
            StoreProcess(engine, folder / f"node-{number}", repl_diskless_sync_delay="0") for number in range(3)
        ]
        self._sentinels: list[SentinelProcess] = []
        self._engine, self._folder = engine, folder

    async def start(self) -> None:
        for node in self._nodes:
            await asyncio.to_thread(node.start)
        first, *others = self._nodes
        for node in others:
            await asyncio.to_thread(node.command, "REPLICAOF", "127.0.0.1", first.port)
            await asyncio.to_thread(node.wait_until_synchronised)
        self._sentinels = [
            SentinelProcess(self._engine, self._folder / f"sentinel-{number}", first.port) for number in range(3)
        ]
        for sentinel in self._sentinels:
            await asyncio.to_thread(sentinel.start)
        await until(lambda: all(self._knows_all(sentinel) for sentinel in self._sentinels))

    async def stop(self) -> None:
        for server in (*self._sentinels, *self._nodes):
            await asyncio.to_thread(server.kill)

    def setting(self, worker: int) -> dict[str, Any]:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self._sentinels)
        wait = {"wait": "all", "replicas": 2} if self._waits else {}
        return {"url": f"redis+sentinel://{hosts}/{NAME}", "timeout": TIMEOUT, **wait}

    def faults(self) -> list[Fault]:
        return [
            Fault("primary kill -9, failover", self._lose, extra=LEASE),
            Fault("split: old primary wakes up after failover", self._split, extra=LEASE),
            Fault("SENTINEL FAILOVER", self._switch, extra=LEASE),
            Fault("FLUSHALL", self._flush, extra=LEASE),
            Fault("connections cut", self._cut),
            Fault("one sentinel kill -9, restart", self._lose_sentinel),
        ]

    def _knows_all(self, sentinel: StoreProcess) -> bool:
        words = sentinel.command("SENTINEL", "MASTER", NAME)
        fields = words if isinstance(words, dict) else dict(zip(words[::2], words[1::2], strict=True))
        return int(fields["num-slaves"]) >= 2 and int(fields["num-other-sentinels"]) == 2

    def _primary(self) -> StoreProcess | None:
        """Return the one whom every sentinel names, if that is what it is."""
        names = {int(sentinel.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)[1]) for sentinel in self._sentinels}
        return next((node for node in self._nodes if {node.port} == names), None)

    def _is_whole(self, *, other_than: StoreProcess | None = None) -> bool:
        primary = self._primary()
        if primary is None or primary is other_than:
            return False
        info = primary.info("replication")
        online = [info[f"slave{number}"]["state"] for number in range(int(info["connected_slaves"]))]
        return info["role"] == "master" and online == ["online"] * 2

    async def _found(self) -> StoreProcess:
        primary = await asyncio.to_thread(self._primary)
        assert primary is not None
        return primary

    async def _lose(self) -> None:
        old = await self._found()
        await asyncio.to_thread(old.kill)
        await until(lambda: self._primary() not in (None, old))
        await asyncio.to_thread(old.restart_empty)
        await until(lambda: self._is_whole(other_than=old))

    async def _split(self) -> None:
        """Stop the primary; once another one rules, let it go on: it still takes itself for the primary."""
        old = await self._found()
        old.pause()
        try:
            await until(lambda: self._primary() not in (None, old))
        finally:
            old.resume()
        await until(lambda: self._is_whole(other_than=old))

    async def slept_through(self, sleep: Callable[[], None], wake: Callable[[], None]) -> None:
        """Have one server of ours sleep, with the old primary, until new tokens pass at the new one; then wake both.

        For some seconds the old primary is one still, and who trusted it longer than a lease would use it.
        """
        old = await self._found()
        sleep()
        old.pause()
        try:
            await until(lambda: self._primary() not in (None, old))
            await asyncio.sleep(MARGIN + LEASE + 1)
        finally:
            old.resume()
            await asyncio.sleep(0.2)
            wake()
        await until(lambda: self._is_whole(other_than=old))

    async def _switch(self) -> None:
        old = await self._found()
        await asyncio.to_thread(self._sentinels[0].command, "SENTINEL", "FAILOVER", NAME)
        await until(lambda: self._is_whole(other_than=old))

    async def _flush(self) -> None:
        await asyncio.to_thread((await self._found()).command, "FLUSHALL")

    async def _cut(self) -> None:
        for _ in range(5):
            for node in self._nodes:
                await asyncio.to_thread(node.command, "CLIENT", "KILL", "TYPE", "normal")
            await asyncio.sleep(0.1)

    async def _lose_sentinel(self) -> None:
        sentinel = self._sentinels[-1]
        port = int((await self._found()).port)
        await asyncio.to_thread(sentinel.kill)
        await asyncio.sleep(1)
        sentinel._watched = port
        await asyncio.to_thread(sentinel.start)
        await until(lambda: all(self._knows_all(one) for one in self._sentinels))
