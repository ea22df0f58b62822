"""What do both filters add to a call?  App A → Envoy A → mTLS → Envoy B → app B, with attach and check, and without.

The load is open: a call starts when its time has come, whatever became of the earlier ones, and its time counts from
then.  The client is one asyncio process on the same cores, good for some thousand calls a second.
"""

import asyncio
import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.attach_rig import DEBIT, started_attach_rig

RATE = 300
SECONDS = 4.0
ROUNDS = 3
IN_FLIGHT = 32
WARM_UP = 300
WAYS = {
    "bare": "neither filter",
    "egress": "attach (own keys) and check",
    "issued": "attach (issuer over gRPC) and check",
}
_REQUEST = f"POST {DEBIT} HTTP/1.1\r\nhost: wallet.api\r\ncontent-length: 0\r\n\r\n".encode()


class Connections:
    """Keep-alive connections to one listener, each for one call at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()

    async def call(self) -> bool:
        """Make one call; whether it was answered with 200."""
        reader, writer = self._free.pop() if self._free else await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(_REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        self._free.append((reader, writer))
        return head.startswith(b"HTTP/1.1 200")

    def close(self) -> None:
        for _, writer in self._free:
            writer.close()


async def _at_rate(port: int) -> list[float]:
    """Seconds of every call at the rate; a run with a refused call is void."""
    loop, connections, took = asyncio.get_running_loop(), Connections(port), list[float]()

    async def one(at: float) -> None:
        if not await connections.call():
            raise SystemExit("void: a call was refused")
        took.append(loop.time() - at)

    start = loop.time() + 0.05
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(RATE * SECONDS)):
            at = start + number / RATE
            await asyncio.sleep(max(0.0, at - loop.time()))
            tasks.create_task(one(at))
    connections.close()
    return took


async def _throughput(port: int, seconds: float) -> float:
    """Calls a second with so many in flight all the time."""
    loop, connections, count = asyncio.get_running_loop(), Connections(port), 0
    until = loop.time() + seconds

    async def worker() -> None:
        nonlocal count
        while loop.time() < until:
            if not await connections.call():
                raise SystemExit("void: a call was refused")
            count += 1

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    connections.close()
    return count / seconds


def attach() -> None:
    """Print latencies at the rate, the ways alternating, and the throughput of each."""
    envoy = Path(os.environ.get("OTT_ENVOY") or shutil.which("envoy") or "envoy")
    with _app_b() as port, started_attach_rig(envoy, app_b=port) as rig:
        asyncio.run(_warm(rig.ports))
        took: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(ROUNDS):
            for way in WAYS:
                took[way] += asyncio.run(_at_rate(rig.ports[way]))
        rates = {way: asyncio.run(_throughput(rig.ports[way], SECONDS)) for way in WAYS}
    print(
        f"two Envoys, one thread each, {RATE} calls/s, {ROUNDS} rounds of {SECONDS:.0f} s; then {IN_FLIGHT} in flight:"
    )
    bare = _quantiles_ms(took["bare"])
    for way, told in WAYS.items():
        p50, p99 = _quantiles_ms(took[way])
        added = f"p50 {p50:6.2f} ms ({p50 - bare[0]:+.2f})   p99 {p99:6.2f} ms ({p99 - bare[1]:+.2f})"
        print(f"  {told:36} {added}   {rates[way]:6.0f} calls/s ({rates[way] / rates['bare']:.2f} x)")


async def _warm(ports: dict[str, int]) -> None:
    for way in WAYS:
        connections = Connections(ports[way])
        for _ in range(WARM_UP):
            await connections.call()
        connections.close()


@contextmanager
def _app_b() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-m", "bench.attach_app"], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline() if process.stdout else "")
        finally:
            process.terminate()


def _quantiles_ms(seconds: list[float]) -> tuple[float, float]:
    ranked = sorted(seconds)
    return ranked[len(ranked) // 2] * 1000, ranked[int(len(ranked) * 0.99)] * 1000


if __name__ == "__main__":
    attach()
