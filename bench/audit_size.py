"""How many bytes does the audit grow by for each decision?  Written by a real server, counted in its file, and packed.

Each token is sent twice: half of the lines are allowed calls, half are replays, which have four fields more.
"""

import asyncio
import gzip
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc.aio

from bench.check_cost import CHECK
from bench.servers import configure, running
from bench.tokens import debit

CALLS = 500
FENCE_SECONDS = 0.6


def _requests() -> list[bytes]:
    return [debit() for _ in range(CALLS)]


async def _written(folder: Path) -> bytes:
    """Return what the audit holds after so many calls, each made twice."""
    configure(folder, transport="native", store="memory://", audit=True)
    async with running("-m", "ott_extauthz", "serve", folder=folder):
        await asyncio.sleep(FENCE_SECONDS)
        async with grpc.aio.insecure_channel(f"unix:{folder}/check.sock") as channel:
            call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(CHECK)
            for request in await asyncio.to_thread(_requests):
                for _ in range(2):
                    await call(request, timeout=10)
    return b"".join(path.read_bytes() for path in (folder / "audit").iterdir())


async def main() -> int:
    with TemporaryDirectory() as name:
        written = await _written(Path(name))
    lines: dict[str, list[bytes]] = {"allow": [], "deny": []}
    for line in written.splitlines(keepends=True):
        lines[json.loads(line)["outcome"]].append(line)
    if {len(kind) for kind in lines.values()} != {CALLS}:
        raise SystemExit("the audit does not have one line for every decision; the run is void")
    for outcome, kind in lines.items():
        together = b"".join(kind)
        packed = gzip.compress(together)
        print(f"{outcome:5}: {len(together) / CALLS:4.0f} bytes a line, {len(packed) / CALLS:4.0f} packed")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
