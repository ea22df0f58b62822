"""``redis+cluster://``: three primaries that share the slots, assigned by hand as no cli is there to do it."""

import asyncio
from pathlib import Path
from typing import Any, Final

from ott_extauthz.stores.redislist.cluster import BUCKETS, slot_of
from tests.chaos.dice import Dice
from tests.chaos.faults import Fault
from tests.chaos.sentinel import LEASE, until
from tests.chaos.topology import TIMEOUT
from tests.processes import Engine, StoreProcess

RANGES: Final = ((0, 5460), (5461, 10922), (10923, 16383))
MOVED: Final = 24
"""So many buckets change their owner, and come back."""


class Cluster:
    """Three servers, no replicas."""

    name = "redis+cluster"
    workers = 2
    fresh, replays = 50.0, 500.0
    has_lists = has_clock = True
    races_may_be_lost = False
    lease = LEASE

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._nodes = [
            StoreProcess(engine, folder / f"node-{number}", cluster_enabled="yes", cluster_node_timeout="1000")
            for number in range(3)
        ]
        self._dice = Dice(0xC1)

    async def start(self) -> None:
        for node in self._nodes:
            await asyncio.to_thread(node.start)
        for number, (node, (low, high)) in enumerate(zip(self._nodes, RANGES, strict=True)):
            await self._say(node, "SET-CONFIG-EPOCH", number + 1)
            await self._say(node, "ADDSLOTSRANGE", low, high)
            await self._say(node, "MEET", "127.0.0.1", self._nodes[0].port)
        await until(self._is_whole)

    async def stop(self) -> None:
        for node in self._nodes:
            await asyncio.to_thread(node.kill)

    def setting(self, worker: int) -> dict[str, Any]:
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self._nodes)
        return {"url": f"redis+cluster://{hosts}", "timeout": TIMEOUT}

    def faults(self) -> list[Fault]:
        return [
            Fault("one node kill -9, back empty", self._lose, extra=LEASE),
            Fault("one node SIGSTOP, SIGCONT", self._pause, extra=LEASE),
            Fault("FLUSHALL", self._flush, extra=LEASE),
            Fault("slots migrated", self._migrate, extra=LEASE),
            Fault("one node reset", self._reset, extra=LEASE),
            Fault("connections cut", self._cut),
        ]

    @staticmethod
    async def _say(node: StoreProcess, *words: str | int) -> Any:
        return await asyncio.to_thread(node.command, "CLUSTER", *words)

    def _is_whole(self) -> bool:
        return all(self._sees_all(node) for node in self._nodes)

    @staticmethod
    def _sees_all(node: StoreProcess) -> bool:
        text = _text(node.command("CLUSTER", "INFO"))
        return "cluster_state:ok" in text and "cluster_known_nodes:3" in text and "cluster_slots_ok:16384" in text

    async def _lose(self) -> None:
        """It knows its slots from its own file, and nothing else."""
        node = self._dice.one_of(self._nodes)
        await asyncio.to_thread(node.kill)
        await asyncio.sleep(2)
        await asyncio.to_thread(node.start)
        await until(self._is_whole)

    async def _pause(self) -> None:
        node = self._dice.one_of(self._nodes)
        node.pause()
        await asyncio.sleep(1.5)
        node.resume()
        await until(self._is_whole)

    async def _flush(self) -> None:
        for node in self._nodes:
            await asyncio.to_thread(node.command, "FLUSHALL")

    async def _migrate(self) -> None:
        """Move slots with their keys, one by one as the manual has it, and back."""
        source, target = self._dice.shuffled(self._nodes)[:2]
        low, high = RANGES[self._nodes.index(source)]
        slots = [slot for slot in map(slot_of, BUCKETS) if low <= slot <= high][:MOVED]
        for slot in slots:
            await self._move(slot, source, target)
        await asyncio.sleep(0.5)
        for slot in slots:
            await self._move(slot, target, source)
        await until(self._is_whole)

    async def _move(self, slot: int, source: StoreProcess, target: StoreProcess) -> None:
        source_id, target_id = await self._say(source, "MYID"), await self._say(target, "MYID")
        await self._say(target, "SETSLOT", slot, "IMPORTING", source_id)
        await self._say(source, "SETSLOT", slot, "MIGRATING", target_id)
        while keys := await self._say(source, "GETKEYSINSLOT", slot, 100):
            await asyncio.to_thread(
                source.command, "MIGRATE", "127.0.0.1", target.port, "", 0, 2000, "REPLACE", "KEYS", *keys
            )
        for node in (target, source, *(node for node in self._nodes if node not in (source, target))):
            await self._say(node, "SETSLOT", slot, "NODE", target_id)

    async def _reset(self) -> None:
        """Have one server forget the cluster and its data, and join anew under another name."""
        number = self._dice.below(3)
        node, others = self._nodes[number], [*self._nodes[:number], *self._nodes[number + 1 :]]
        name = await self._say(node, "MYID")
        await self._say(node, "DELSLOTSRANGE", *RANGES[number])  # nothing may be written between the next two
        await asyncio.to_thread(node.command, "FLUSHALL")
        await self._say(node, "RESET", "HARD")
        for other in others:
            await self._say(other, "FORGET", name)
        await self._say(node, "MEET", "127.0.0.1", others[0].port)
        await until(
            lambda: all("cluster_known_nodes:3" in _text(one.command("CLUSTER", "INFO")) for one in self._nodes)
        )
        await self._say(node, "BUMPEPOCH")
        await self._say(node, "ADDSLOTSRANGE", *RANGES[number])
        await until(self._is_whole)

    async def _cut(self) -> None:
        for _ in range(5):
            for node in self._nodes:
                await asyncio.to_thread(node.command, "CLIENT", "KILL", "TYPE", "normal")
            await asyncio.sleep(0.1)


def _text(info: Any) -> str:
    return info if isinstance(info, str) else "\r\n".join(f"{name}:{value}" for name, value in info.items())
