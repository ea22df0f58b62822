"""Real servers to measure: started as processes, their CPU and memory read from the kernel."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bench.tokens import ISSUER, jwks

POLICY = """revision: "bench"
routes:
  - name: wallet-debit
    match: {hosts: [wallet.api], methods: [POST], path: "/v1/wallets/{wallet}/debit"}
    credential: one_time_token
    audience: wallet.api
    clients: [rgs]
    scopes: ["wallet:debit"]
  - name: health
    match: {methods: [GET], path: /healthz}
    credential: public
"""
ROOT = Path(__file__).parents[1]
"""The source that is measured."""

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def configure(folder: Path, *, transport: str, store: str, audit: bool) -> None:
    """Write a configuration with everything on that production has on."""
    (folder / "jwks.json").write_bytes(jwks())
    (folder / "policy.yaml").write_text(POLICY)
    listen = f"check: 'unix://{folder}/check.sock', admin: 'unix://{folder}/admin.sock'"
    (folder / "ott.yaml").write_text(
        f"listen: {{{listen}, transport: {transport}}}\n"
        f"store: {store}\npolicy: policy.yaml\ntrust: [{{issuer: '{ISSUER}', jwks: jwks.json, algorithms: [EdDSA]}}]\n"
        f"drain: {{wait: 0ms, grace: 0ms}}\nlog: {{level: error}}\n" + ("audit: {path: audit}\n" if audit else "")
    )


@asynccontextmanager
async def running(*command: str, folder: Path) -> AsyncIterator[tuple[Process, float]]:
    """Run a server until it is healthy; yields it and the seconds that took."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    process = await asyncio.create_subprocess_exec(sys.executable, *command, cwd=folder, env=environment())
    try:
        await _healthy(f"unix:{folder}/check.sock", process)
        yield process, loop.time() - started
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), 20)


def environment() -> dict[str, str]:
    """The environment of a measured server: the source measured, and no settings of the caller's."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTT_")}
    return environment | {"PYTHONPATH": str(ROOT)}


async def _healthy(address: str, process: Process) -> None:
    async with grpc.aio.insecure_channel(
        address,
        options=[
            ("grpc.initial_reconnect_backoff_ms", 20),
            ("grpc.min_reconnect_backoff_ms", 20),
            ("grpc.max_reconnect_backoff_ms", 20),
        ],
    ) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for _ in range(6000):
            try:
                await stub.Check(health_pb2.HealthCheckRequest(), timeout=1)
            except grpc.aio.AioRpcError:
                if process.returncode is not None:
                    raise SystemExit(f"the server ended with {process.returncode}") from None
                await asyncio.sleep(0.01)
            else:
                return
    raise SystemExit("the server did not come up in time")


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def resident_mib(pid: int) -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("no VmRSS in /proc")
