"""Uses that charge counters, and processes that race for them."""

import asyncio
import secrets
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from ott_extauthz.ports import Charge, ChargeKind, SpendOutcome, Use, UsedList
from ott_extauthz.stores.redislist.factory import redis_used_list
from ott_extauthz.stores.sqllist.list import SqlUsedList
from tests.fakes.clock import SkewedClock
from tests.used_lists import BOUNDS, settings_for

TIMEOUT = 8.0
LIFE_MS = 600_000
ACCOUNT = b"a" * 32


def budget(
    since_ms: int, limit: int, cost: int = 1, *, key: bytes = b"b" * 32, keep_ms: int = LIFE_MS, until_ms: int = 0
) -> Charge:
    return Charge(
        kind=ChargeKind.BUDGET,
        key=key,
        limit=limit,
        cost=cost,
        since_ms=since_ms,
        keep_until_ms=until_ms or since_ms + keep_ms,
    )


def rate(limit: int, period_ms: int, *, key: bytes = b"r" * 32) -> Charge:
    return Charge(kind=ChargeKind.RATE, key=key, limit=limit, period_ms=period_ms)


def charging(now_ms: int, issued_at_ms: int, *charges: Charge, account: bytes = ACCOUNT, key: bytes = b"") -> Use:
    """Make a use of a token of its own."""
    return Use(
        key=key or secrets.token_bytes(32),
        nonce=secrets.token_bytes(16),
        issued_at_ms=issued_at_ms,
        keep_until_ms=issued_at_ms + 60_000,
        now_ms=now_ms,
        account=account,
        charges=charges,
    )


def list_at(url: str) -> UsedList:
    make = redis_used_list if url.startswith("redis") else SqlUsedList
    return make(settings=settings_for(url), bounds=BOUNDS, clock=SkewedClock())


async def race(lists: Sequence[UsedList], spends: int, since_ms: int, limit: int) -> list[SpendOutcome]:
    """Spend so many tokens of one account at once, one unit of its budget each."""
    uses = [charging(SkewedClock().now_ms(), since_ms, budget(since_ms, limit)) for _ in range(spends)]
    answers = await asyncio.gather(
        *(lists[at % len(lists)].mark_used(use, timeout=TIMEOUT) for at, use in enumerate(uses))
    )
    return [answer.outcome for answer in answers]


async def _main(url: str, spends: int, since_ms: int, limit: int) -> None:
    async with AsyncExitStack() as stack:
        lists = [list_at(url) for _ in range(2)]
        for each in lists:
            await each.start()
            stack.push_async_callback(each.close)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        outcomes = await race(lists, spends, since_ms, limit)
        sys.stdout.write(" ".join(outcome.name for outcome in outcomes) + "\n")


def race_of_processes(url: str, processes: int, spends: int, since_ms: int, limit: int) -> list[SpendOutcome]:
    """Have the same done by several processes at once, each with two lists of its own."""
    words = [sys.executable, "-m", "tests.charging", url, str(spends), str(since_ms), str(limit)]
    started = [
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
        for _ in range(processes)
    ]
    try:
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        told = [process.communicate(timeout=60)[0] for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    return [SpendOutcome[name] for line in told for name in line.split()]


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], *(int(word) for word in sys.argv[2:])))
