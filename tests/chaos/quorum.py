"""``redis+quorum://``: three primaries that know nothing of each other; the loss of one must hardly be noticed."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from tests.chaos.dice import Dice
from tests.chaos.faults import Fault
from tests.chaos.topology import TIMEOUT
from tests.processes import Engine, StoreProcess
from tests.proxies import DropProxy

NODES = 3
DOWN = 2.0


class Quorum:
    """Three servers.  The first Check server reaches them directly, the second through proxies."""

    name = "redis+quorum"
    workers = 2
    fresh, replays = 50.0, 400.0
    has_lists = has_clock = True
    races_may_be_lost = True  # two attempts at once may leave no majority to either
    lease = 0.0

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._nodes = [StoreProcess(engine, folder / f"node-{number}") for number in range(NODES)]
        self._proxies: list[DropProxy] = []
        self._ending = AsyncExitStack()
        self._dice = Dice(0x0771)

    async def start(self) -> None:
        for node in self._nodes:
            await asyncio.to_thread(node.start)
            self._ending.callback(node.kill)
        self._proxies = [await self._ending.enter_async_context(DropProxy(node.port)) for node in self._nodes]

    async def stop(self) -> None:
        await self._ending.aclose()

    def setting(self, worker: int) -> dict[str, Any]:
        ports = [one.port for one in (self._nodes if worker == 0 else self._proxies)]
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        return {"url": f"redis+quorum://{hosts}", "timeout": TIMEOUT}

    def faults(self) -> list[Fault]:
        def one(name: str, inject: Callable[[StoreProcess], Awaitable[None]]) -> Fault:
            return Fault(name, lambda: inject(self._dice.one_of(self._nodes)), counts_from_start=True)

        return [
            one("one node kill -9, back empty", self._lose),
            one("one node SIGSTOP, SIGCONT", self._pause),
            one("one node FLUSHALL", self._flush),
            one("one node promoted", self._promote),
            Fault("one node's replies dropped", self._drop, counts_from_start=True),
            Fault("two nodes kill -9, back empty", self._lose_two),
            Fault("FLUSHALL", self._flush_all),
            Fault("connections cut", self._cut),
        ]

    async def _lose(self, node: StoreProcess) -> None:
        await asyncio.to_thread(node.kill)
        await asyncio.sleep(DOWN)
        await asyncio.to_thread(node.restart_empty)

    async def _pause(self, node: StoreProcess) -> None:
        node.pause()
        await asyncio.sleep(DOWN)
        node.resume()

    async def _flush(self, node: StoreProcess) -> None:
        await asyncio.to_thread(node.command, "FLUSHALL")

    async def _promote(self, node: StoreProcess) -> None:
        await asyncio.to_thread(node.command, "REPLICAOF", "127.0.0.1", 1)
        await asyncio.sleep(0.3)
        await asyncio.to_thread(node.command, "REPLICAOF", "NO", "ONE")

    async def _drop(self) -> None:
        proxy = self._dice.one_of(self._proxies)
        for _ in range(40):
            proxy.drop_replies = 1
            await asyncio.sleep(0.05)
        proxy.drop_replies = 0

    async def _lose_two(self) -> None:
        lost = self._dice.shuffled(self._nodes)[:2]
        await asyncio.gather(*(self._lose(node) for node in lost))

    async def _flush_all(self) -> None:
        await asyncio.gather(*(self._flush(node) for node in self._nodes))

    async def _cut(self) -> None:
        for _ in range(5):
            for proxy, node in zip(self._proxies, self._nodes, strict=True):
                proxy.cut()
                await asyncio.to_thread(node.command, "CLIENT", "KILL", "TYPE", "normal")
            await asyncio.sleep(0.1)
