"""One store's run: Check servers and load processes started, faults injected one after the other, the ledgers read."""

import asyncio
import json
import secrets
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import grpc.aio
import msgspec
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ott_extauthz.demo.ports import free_ports
from ott_extauthz.demo.programs import environment
from tests.chaos.clocks import set_offset
from tests.chaos.dice import Dice
from tests.chaos.faults import Fault, Happened
from tests.chaos.ledger import Audit, Book, Findings
from tests.chaos.load import DoorSpec, LoadSpec
from tests.chaos.sentinel import LEASE, Sentinels
from tests.chaos.starvation import Watch, merged
from tests.chaos.tokens import ISSUER, POLICY, Mint
from tests.chaos.topology import CLOCK, MARGIN, Topology

START_WITHIN = 60.0
SETTLE = MARGIN + 1
"""Healthy is what lies so long after the last fault."""

CALM = 3.0
"""About how long it stays healthy between two faults."""

STRAIGHT = 6
"""So many times as much is asked of the list by those who ask nothing else."""

SLEPT_THROUGH = "split: Check server sleeps through failover"
FAR, NEAR = 2_000, 400
"""Clock shifts in ms: one beyond ``max_skew``, one within."""


class Worker:
    """One Check server of its own, with its socket, its configuration and a clock that can be moved."""

    def __init__(self, folder: Path, number: int, store: dict[str, object], sabotages: tuple[str, ...]) -> None:
        self.socket = folder / f"check-{number}.sock"
        self.config = folder / f"ott-{number}.yaml"
        self.clock = folder / f"clock-{number}"
        self._folder, self._sabotages = folder, ",".join(sabotages)
        self._process: Process | None = None
        set_offset(self.clock, 0)
        tree = {
            "listen": {"check": f"unix://{self.socket}", "admin": f"127.0.0.1:{free_ports(1)[0]}"},
            "store": store,
            "policy": "policy.yaml",
            "trust": [{"issuer": ISSUER, "jwks": "jwks.json", "algorithms": ["EdDSA"]}],
            "clock": CLOCK,
            "drain": {"wait": "0ms", "grace": "1s"},
            "expose_reasons": True,
            "log": {"level": "error"},
        }
        self.config.write_text(json.dumps(tree), encoding="utf-8")

    async def start(self) -> None:
        words = ["-m", "tests.chaos.server", str(self.clock), self._sabotages, "serve", "-c", str(self.config)]
        with self.config.with_suffix(".log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, *words, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=_environment()
            )
        await self._serving()

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def sleep(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def restart(self) -> None:
        """End it as the kernel would, and start it again."""
        await self.kill()
        await asyncio.sleep(0.2)
        await self.start()

    async def shifted(self, milliseconds: int, seconds: float) -> None:
        """Let its clock be wrong for a while."""
        set_offset(self.clock, milliseconds)
        await asyncio.sleep(seconds)
        set_offset(self.clock, 0)

    async def _serving(self) -> None:
        assert self._process is not None
        until = time.monotonic() + START_WITHIN
        options = [(f"grpc.{name}_reconnect_backoff_ms", 50) for name in ("initial", "min", "max")]
        async with grpc.aio.insecure_channel(f"unix:{self.socket}", options=options) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            while True:
                try:
                    await stub.Check(health_pb2.HealthCheckRequest(), timeout=1)
                except grpc.aio.AioRpcError:
                    log = self.config.with_suffix(".log").read_text(encoding="utf-8")
                    assert self._process.returncode is None, f"a Check server ended:\n{log}"
                    assert time.monotonic() < until, f"a Check server did not come up:\n{log}"
                    await asyncio.sleep(0.02)
                else:
                    return


@dataclass(kw_only=True)
class Plan:
    """How one run goes.  ``only`` names the faults that are wanted; none means all, again and again."""

    seconds: float
    seed: int
    settle: float = SETTLE
    calm: float = CALM
    only: tuple[str, ...] = ()
    sabotages: tuple[str, ...] = ()
    list_processes: int = 1
    once: bool = False


@dataclass(kw_only=True)
class Report:
    """What a run was and what was found."""

    name: str
    seconds: float
    happened: list[Happened]
    findings: Findings
    begin: float


def _environment() -> dict[str, str]:
    return environment() | {"PYTHONPATH": str(Path(__file__).parents[2])}


async def run(topology: Topology, folder: Path, plan: Plan) -> Report:
    """Torment one store for about ``plan.seconds``."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - nothing else runs yet
    mint_key, dice = secrets.token_bytes(32), Dice(plan.seed)
    (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
    (folder / "jwks.json").write_text(Mint(mint_key, "", signs=False).jwks, encoding="utf-8")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(topology.stop)
        await topology.start()
        workers = [
            Worker(folder, number, topology.setting(number), plan.sabotages) for number in range(topology.workers)
        ]
        for worker in workers:
            stack.push_async_callback(worker.kill)
        await asyncio.gather(*(worker.start() for worker in workers))
        specs = _specs(topology, folder, plan, workers, mint_key.hex())
        loads = [await _started(spec, folder, stack) for spec in specs]
        begin, watch = time.monotonic(), Watch()
        watching = asyncio.create_task(watch.keep())
        happened = await _schedule(topology, workers, plan, dice, begin)
        end = time.monotonic()
        watching.cancel()
        for load in loads:
            load.send_signal(signal.SIGTERM)
        for load, spec in zip(loads, specs, strict=True):
            code = await asyncio.wait_for(load.wait(), START_WITHIN)
            assert code == 0, (folder / f"{spec.name}.log").read_text(encoding="utf-8")
    audit = Audit(
        happened,
        begin=begin,
        end=end,
        settle=plan.settle + topology.lease,
        races_may_be_lost=topology.races_may_be_lost,
        starved=merged(watch.periods),
    )
    books = [
        Book(spec.name, Path(spec.ledger), ["check" if door.socket else "list" for door in spec.doors])
        for spec in specs
    ]
    findings = await asyncio.to_thread(audit.of, books)
    return Report(name=topology.name, seconds=end - begin, happened=happened, findings=findings, begin=begin)


def _specs(topology: Topology, folder: Path, plan: Plan, workers: list[Worker], mint_key: str) -> list[LoadSpec]:
    """One process that comes in through the Check servers and the list as well; others through the list alone."""
    checks = [DoorSpec(str(worker.config), str(worker.clock), str(worker.socket)) for worker in workers]
    lists = [DoorSpec(str(worker.config), str(worker.clock)) for worker in workers] if topology.has_lists else []
    kinds = [("clients", checks + lists[-1:], topology.replays)]
    if lists:
        kinds += [(f"lists-{number}", lists, topology.replays * STRAIGHT) for number in range(plan.list_processes)]
    return [
        LoadSpec(
            name=name,
            doors=doors,
            mint_key=mint_key,
            seed=plan.seed * 1000 + number,
            ledger=str(folder / f"{name}.ledger"),
            fresh=topology.fresh,
            replays=replays,
            most_in_flight=96,
            sabotages=list(plan.sabotages),
        )
        for number, (name, doors, replays) in enumerate(kinds)
    ]


async def _started(spec: LoadSpec, folder: Path, stack: AsyncExitStack) -> Process:
    path = folder / f"{spec.name}.json"
    path.write_bytes(msgspec.json.encode(spec))
    with (folder / f"{spec.name}.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.chaos.load", str(path), stdout=PIPE, stderr=log, env=_environment()
        )

    async def killed() -> None:
        if process.returncode is None:
            process.kill()
            await process.wait()

    stack.push_async_callback(killed)
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), START_WITHIN)
    assert line == b"up\n", (folder / f"{spec.name}.log").read_text(encoding="utf-8")
    return process


async def _schedule(topology: Topology, workers: list[Worker], plan: Plan, dice: Dice, begin: float) -> list[Happened]:
    """Inject every fault once, in a new order each round, with a healthy phase between any two."""
    faults = topology.faults() + _worker_faults(topology, workers)
    wanted = [fault for fault in faults if not plan.only or fault.name in plan.only]
    assert len(wanted) >= len(plan.only), "no such fault"
    happened: list[Happened] = []
    await asyncio.sleep(plan.settle + topology.lease + plan.calm)
    while True:
        for fault in dice.shuffled(wanted):
            await fault.prepare()
            await asyncio.sleep(dice.between(0.7, 1.3) * plan.calm)
            start = time.monotonic()
            await fault.inject()
            bound = 1.0 if fault.counts_from_start else MARGIN + 1 + fault.extra
            happened.append(Happened(fault.name, start, time.monotonic(), bound, fault.counts_from_start))
            await asyncio.sleep(max(plan.settle, bound))
            if time.monotonic() - begin > plan.seconds and not plan.once:
                break
        else:
            if not plan.once:
                continue
        await asyncio.sleep(plan.calm)
        return happened


def _worker_faults(topology: Topology, workers: list[Worker]) -> list[Fault]:
    last = workers[-1]
    faults = [Fault("Check server kill -9", last.restart)]
    if topology.has_clock:
        faults += [
            Fault("clock ahead 2 s", lambda: last.shifted(FAR, 1.5)),
            Fault("clock behind 2 s", lambda: last.shifted(-FAR, 1.5)),
        ]
    if isinstance(topology, Sentinels):
        slept = partial(topology.slept_through, last.sleep, last.wake)
        faults.append(Fault(SLEPT_THROUGH, slept, extra=LEASE))
    return faults + _apart(topology, last)


def _apart(topology: Topology, worker: Worker) -> list[Fault]:
    """Lose the data while one server's clock is wrong, but within the bound."""
    losses = [fault for fault in topology.faults() if fault.name == "FLUSHALL"]

    def apart(loss: Fault, shift: int) -> Fault:
        async def inject() -> None:
            moved = asyncio.create_task(worker.shifted(shift, 1.2))
            await asyncio.sleep(0.6)
            await loss.inject()
            await moved

        return Fault(f"FLUSHALL, clock {shift:+} ms", inject, loss.prepare, extra=loss.extra)

    return [apart(loss, shift) for loss in losses for shift in (NEAR, -NEAR)]
