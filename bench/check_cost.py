"""CPU per Check of the server process, for both transports and both stores, beside the floor of each transport."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc.aio
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse

from bench.servers import configure, cpu_seconds, resident_mib, running
from bench.tokens import debit, public
from tests.processes import VALKEY, StoreProcess

CHECKS = 4000
WARM_UP = 500
IN_FLIGHT = 64
ROUNDS = 3
CHECK = "/envoy.service.auth.v3.Authorization/Check"
FENCE_SECONDS = 2.2


@dataclass(frozen=True)
class Case:
    """What is measured: a name, a server, the requests, and how many of them must be allowed."""

    name: str
    command: tuple[str, ...]
    make: Callable[[], bytes]


async def _send(address: str, requests: Sequence[bytes]) -> int:
    """Send all, so many in flight; returns how many were allowed."""
    pending = iter(requests)
    allowed = 0
    async with grpc.aio.insecure_channel(address) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, CheckResponse] = channel.unary_unary(
            CHECK, response_deserializer=CheckResponse.FromString
        )

        async def worker() -> None:
            nonlocal allowed
            for request in pending:
                response = await call(request, timeout=10)
                allowed += response.status.code == 0

        await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return allowed


async def measured(case: Case, folder: Path) -> float:
    """Microseconds of CPU per Check; a run in which not every check was allowed is void."""
    async with running(*case.command, folder=folder) as (process, _):
        await asyncio.sleep(FENCE_SECONDS if "redis" in case.name else 0.6)
        address = f"unix:{folder}/check.sock"
        await _send(address, await asyncio.to_thread(_made, case, WARM_UP))
        requests = await asyncio.to_thread(_made, case, CHECKS)
        before = cpu_seconds(process.pid)
        allowed = await _send(address, requests)
        spent = cpu_seconds(process.pid) - before
    if allowed != CHECKS:
        raise SystemExit(f"{case.name}: void, {allowed} of {CHECKS} checks were allowed")
    return spent / CHECKS * 1e6


def _made(case: Case, count: int) -> list[bytes]:
    """Make requests; in a thread, for the minter has a loop of its own."""
    return [case.make() for _ in range(count)]


async def start_and_memory() -> None:
    """Print cold start to serving, and the memory of one idle worker."""
    for transport in ("native", "grpcio"):
        with TemporaryDirectory() as name:
            folder = Path(name)
            configure(folder, transport=transport, store="memory://", audit=True)
            seconds = []
            memory = 0.0
            for _ in range(ROUNDS):
                async with running("-m", "ott_extauthz", "serve", folder=folder) as (process, took):
                    seconds.append(took)
                    memory = resident_mib(process.pid)
            print(f"{transport:7} cold start to serving {sorted(seconds)[ROUNDS // 2]:.2f} s, idle {memory:.0f} MiB")


async def check_cost() -> None:
    """Print CPU per Check, the cases alternating, the median of the rounds."""
    results: dict[str, list[float]] = {}
    with TemporaryDirectory() as name:
        valkey = StoreProcess(VALKEY, Path(name)).start()
        try:
            for _ in range(ROUNDS):
                for transport in ("native", "grpcio"):
                    for store in ("memory", "redis"):
                        await _round(results, transport, store, valkey.url)
        finally:
            valkey.kill()
    floors = {transport: _median(results[f"{transport} allow-all"]) for transport in ("native", "grpcio")}
    print(f"CPU per Check, server process, {IN_FLIGHT} in flight, {CHECKS} checks, median of {ROUNDS} rounds:")
    for name, values in results.items():
        transport = name.split()[0]
        ratio = _median(values) / floors[transport]
        print(f"  {name:24} {_median(values):6.0f} us   {ratio:5.2f} x allow-all of its transport")
    print(f"  grpcio / native, allow-all: {floors['grpcio'] / floors['native']:.2f}")
    full = _median(results["grpcio full, redis"]) / _median(results["native full, redis"])
    print(f"  grpcio / native, full, redis: {full:.2f}")


async def _round(results: dict[str, list[float]], transport: str, store: str, url: str) -> None:
    serve = ("-m", "ott_extauthz", "serve")
    cases = [Case(f"{transport} full, {store}", serve, debit)]
    if store == "memory":
        cases.insert(0, Case(f"{transport} allow-all", ("-m", "bench.floor", transport), public))
        cases.insert(1, Case(f"{transport} public route", serve, public))
    for case in cases:
        with TemporaryDirectory() as name:
            folder = Path(name)
            configure(folder, transport=transport, store="memory://" if store == "memory" else url, audit=True)
            results.setdefault(case.name, []).append(await measured(case, folder))


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
