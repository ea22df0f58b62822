"""What a token costs: CPU in batches, the signature's share of it, and `Mint` of 256 over mTLS from end to end."""

import asyncio
import secrets
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from nacl.bindings import crypto_sign

from bench.servers import cpu_seconds, environment
from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.bootstrap.rings import NobodyListens
from ott_extauthz.client.identity import IdentityFiles
from ott_extauthz.client.issuer import GrpcTokenSource
from ott_extauthz.demo.pki import Authority
from ott_extauthz.demo.ports import free_ports
from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.order import DEFAULT_RING, MintOrder
from ott_extauthz.ports import TokenWanted
from ott_extauthz.stores.keyring import FileRing, Place, Rotation, init_keys
from ott_extauthz.stores.signing import Ed25519Signer

BATCH = 64
LARGEST = 256
BATCHES = 60
CALLS = 200
ROUNDS = 3
WARM_UP = 10
RGS = "spiffe://bank.bench/rgs"
WALLET = TokenWanted(audience="wallet.api")
FOR_ONE_REQUEST = TokenWanted(audience="wallet.api", digest=bytes(32))
"""Such tokens are minted by a call of their own; all others come over the stream."""


async def mint() -> None:
    """Print the cost of a token, in this process and through the issuer's gRPC door."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        init_keys(folder / "keys", now_ms=SystemClock().now_ms())
        ring = FileRing(
            DEFAULT_RING,
            Place(directory=folder / "keys"),
            rotation=Rotation(),
            clock=SystemClock(),
            listener=NobodyListens(),
        )
        await _in_process(ring)
        await _through_the_door(folder)


async def _in_process(ring: FileRing) -> None:
    minter = Minter(
        issuer="https://issuer.bench", rings={DEFAULT_RING: ring}, clock=SystemClock(), entropy=secrets.token_bytes
    )
    order = MintOrder(
        subject=RGS, client_id="rgs", audience="wallet.api", scope=frozenset({"wallet:debit"}), lifetime_ms=30_000,
        thumbprint=Authority("bench").issue("rgs", uri=RGS).thumbprint,
    )  # fmt: skip
    tokens = await minter.batch([order] * BATCH)
    whole, signature = [], []
    for _ in range(ROUNDS):
        before = time.process_time()
        for _ in range(BATCHES):
            tokens = await minter.batch([order] * BATCH)
        whole.append((time.process_time() - before) / (BATCHES * BATCH) * 1e6)
        signature.append(_signing(ring, tokens[0].text.rpartition(".")[0].encode()))
    token, share = sorted(whole)[ROUNDS // 2], sorted(signature)[ROUNDS // 2]
    print(f"mint, batches of {BATCH}: {token:.0f} us CPU a token, {share / token:.0%} of it the Ed25519 signature")


def _signing(ring: FileRing, message: bytes) -> float:
    """Microseconds of CPU for one signature over a token's own bytes."""
    signer = ring.signer
    if not isinstance(signer, Ed25519Signer):
        raise SystemExit("the bench's ring signs with Ed25519")
    before = time.process_time()
    for _ in range(BATCHES * BATCH):
        crypto_sign(message, signer.secret)
    return (time.process_time() - before) / (BATCHES * BATCH) * 1e6


async def _through_the_door(folder: Path) -> None:
    address = _configured(folder)
    async with _issuer(folder) as process:
        files = IdentityFiles(certificate=folder / "rgs.pem", key=folder / "rgs-key.pem", ca=folder / "ca.pem")
        source = GrpcTokenSource(address, files)
        for name, wanted in {"Mint": FOR_ONE_REQUEST, "MintStream": WALLET}.items():
            took, cpu = await _timed(source, wanted, process.pid)
            p50, p99 = took[CALLS // 2], took[CALLS * 99 // 100]
            print(f"{name} of {LARGEST} over mTLS: p50 {p50:.1f} ms, p99 {p99:.1f} ms; {cpu:.0f} us CPU a token")
        await source.aclose()


async def _timed(source: GrpcTokenSource, wanted: TokenWanted, pid: int) -> tuple[list[float], float]:
    """Milliseconds of each call, sorted, and microseconds of the issuer's CPU for a token."""
    for _ in range(WARM_UP):
        await source.mint(wanted, LARGEST)
    before, took = cpu_seconds(pid), []
    for _ in range(CALLS):
        began = time.perf_counter()
        await source.mint(wanted, LARGEST)
        took.append((time.perf_counter() - began) * 1e3)
    return sorted(took), (cpu_seconds(pid) - before) / (CALLS * LARGEST) * 1e6


@asynccontextmanager
async def _issuer(folder: Path) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ott_extauthz", "issue", cwd=folder, env=environment(), stderr=asyncio.subprocess.PIPE
    )
    try:
        while b"serving gRPC" not in (line := await _line(process)):
            if not line:
                raise SystemExit("the issuer did not come up")
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


async def _line(process: Process) -> bytes:
    return b"" if process.stderr is None else await asyncio.wait_for(process.stderr.readline(), 30)


def _configured(folder: Path) -> str:
    authority = Authority("bench")
    authority.write(folder)
    authority.issue("issuer", server=True, ips=("127.0.0.1",)).write(folder, "server")
    authority.issue("rgs", uri=RGS).write(folder, "rgs")
    http, batches = free_ports(2)
    (folder / "clients.yaml").write_text(
        "clients: [{client_id: rgs, authentication: tls_client_auth, "
        f'certificate: {{spiffe_id: "{RGS}"}}, '
        'audiences: {wallet.api: {scopes: ["wallet:debit"]}}}]\n'
    )
    (folder / "ott.yaml").write_text(
        f"issuer: {{url: 'https://issuer.bench', listen: '127.0.0.1:{http}', grpc: '127.0.0.1:{batches}', "
        "tls: {certificate: server.pem, key: server-key.pem, client_ca: ca.pem}}\n"
    )
    return f"127.0.0.1:{batches}"


if __name__ == "__main__":
    asyncio.run(mint())
