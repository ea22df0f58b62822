"""50 rotations in a real minute: two issuer processes on one ring, a Check server that follows its JWK Set.

Every token is checked once, at once or when it is about to die; meanwhile retired keys sign forgeries.  `make rotation`
ends with 1 when one valid token was refused, or one forgery accepted.
"""

import asyncio
import secrets
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import grpc.aio
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse

from bench.check_cost import CHECK
from bench.tokens import debit_with
from ott_extauthz.bootstrap.check_server import build, serve
from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.bootstrap.rings import NobodyListens
from ott_extauthz.issuer.key_change import KeyState
from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.order import DEFAULT_RING, MintOrder
from ott_extauthz.observe.log import new_logger
from ott_extauthz.ports import Signer
from ott_extauthz.settings import load
from ott_extauthz.stores.keyring import FileRing, Place, Rotation, init_ring, load_ring
from ott_extauthz.stores.keyring.schedule import active_of

SECONDS: Final = 61.5
ISSUER: Final = "https://issuer.bench"
LIFE_MS: Final = 2_000
ROTATION: Final = Rotation(every_ms=1_100, publish_before_ms=900, retire_after_ms=4_500)
LOOK_SECONDS: Final = 0.05
BATCH: Final = 4
BATCHES_A_SECOND: Final = 20
FOLLOWED_MS: Final = 1_500  # the Check server looks every 100 ms, twice, on a machine that does other things too
CLOCK: Final = SystemClock()


class _Held:
    """A ring of one signer: what a thief has."""

    jwks = b""

    def __init__(self, signer: Signer) -> None:
        self.signer = signer

    async def run(self) -> None: ...


async def minted(ring: FileRing | _Held, count: int) -> list[str]:
    order = MintOrder(
        subject="spiffe://bank.bench/rgs", client_id="rgs", audience="wallet.api", scope=frozenset({"wallet:debit"}),
        lifetime_ms=LIFE_MS,
    )  # fmt: skip
    minter = Minter(issuer=ISSUER, rings={DEFAULT_RING: ring}, clock=CLOCK, entropy=secrets.token_bytes)
    return await minter.mint([order] * count)


async def issue(directory: Path) -> None:
    """One issuer: mint, print, and have the ring do its work."""
    ring = FileRing("", Place(directory=directory), rotation=ROTATION, clock=CLOCK, listener=NobodyListens())
    running = asyncio.create_task(ring.run(look_seconds=LOOK_SECONDS, retry_seconds=LOOK_SECONDS))
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        for token in await minted(ring, BATCH):
            print(CLOCK.now_ms(), token, flush=True)
        await asyncio.sleep(1 / BATCHES_A_SECOND)
    running.cancel()


class Checking:
    """Checks tokens and counts what became of them."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.counts: Counter[str] = Counter()
        self.call: grpc.aio.UnaryUnaryMultiCallable[bytes, CheckResponse] = channel.unary_unary(
            CHECK, response_deserializer=CheckResponse.FromString
        )

    async def tokens_of(self, process: asyncio.subprocess.Process) -> None:
        """Check what an issuer prints: every other token at once, the others late in their lives."""
        assert process.stdout is not None  # noqa: S101
        async with asyncio.TaskGroup() as group:
            number = 0
            while line := await process.stdout.readline():
                minted_ms, token = line.decode().split()
                number += 1
                group.create_task(self.one(token, int(minted_ms) + (LIFE_MS - 600 if number % 2 else 0)))

    async def one(self, token: str, at_ms: int) -> None:
        await asyncio.sleep(max(0, at_ms - CLOCK.now_ms()) / 1000)
        response = await self.call(debit_with(token), timeout=10)
        is_allowed = response.status.code == 0
        self.counts["valid accepted" if is_allowed else f"VALID REFUSED {response.dynamic_metadata['reason']}"] += 1

    async def forgeries(self, place: Place) -> None:
        """Keep every key that ever signed, and sign with it when it is retired."""
        held: dict[str, Signer] = {}
        active: set[str] = set()
        while True:
            loaded = await asyncio.to_thread(load_ring, place, held)
            held |= loaded.signers
            active.add(active_of(loaded.keys).kid)
            self.counts["rotations"] = len(active) - 1
            old_ms = CLOCK.now_ms() - FOLLOWED_MS
            for key in loaded.keys:
                if key.state is KeyState.RETIRED and key.since_ms < old_ms and key.kid in held:
                    (token,) = await minted(_Held(held[key.kid]), 1)
                    response = await self.call(debit_with(token), timeout=10)
                    is_unknown = response.dynamic_metadata["reason"] == "token_key_unknown"
                    self.counts["forged refused" if is_unknown else "FORGERY NOT REFUSED AS ONE"] += 1
            await asyncio.sleep(0.1)


def configured(folder: Path) -> Place:
    place = Place(directory=folder / "keys")
    init_ring(place, now_ms=CLOCK.now_ms())
    (folder / "policy.yaml").write_text(
        'revision: "1"\nroutes:\n  - {name: debit, match: {path: "/{rest**}"}, credential: one_time_token, '
        'audience: wallet.api, scopes: ["wallet:debit"], bound_to: [], unbound: accept the risk}\n'
    )
    (folder / "ott.yaml").write_text(
        f"policy: policy.yaml\nreload: {{every: 100ms}}\ndrain: {{wait: 0ms, grace: 1s}}\n"
        f"trust: [{{issuer: '{ISSUER}', jwks: keys/jwks.json, algorithms: [EdDSA]}}]\n"
    )
    return place


async def rotation(folder: Path) -> Counter[str]:
    place, until, is_serving = configured(folder), asyncio.Event(), asyncio.Event()
    settings = load(folder / "ott.yaml", {})
    address = f"unix://{folder}/check.sock"
    app = build(settings, check_inputs(settings, "ott.yaml"), address=address, logger=new_logger("error"))
    served = asyncio.create_task(serve(app, admin=None, until=until, on_serving=is_serving.set))
    await is_serving.wait()
    await asyncio.sleep(0.6)  # past the fence of a list that was just made
    async with AsyncExitStack() as stack:
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"unix:{folder}/check.sock"))
        checking = Checking(channel)
        issuers = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bench.rotation", str(place.directory)), stdout=asyncio.subprocess.PIPE
            )
            for _ in range(2)
        ]
        forging = asyncio.create_task(checking.forgeries(place))
        await asyncio.gather(*map(checking.tokens_of, issuers))
        if forging.done():
            await forging  # it never ends by itself: tell what broke it
        forging.cancel()
        ends = [await issuer.wait() for issuer in issuers]
        if any(ends):
            checking.counts["ISSUERS THAT DIED"] = len(ends)
    until.set()
    await served
    return checking.counts


def main() -> int:
    if len(sys.argv) > 1:
        asyncio.run(issue(Path(sys.argv[1])))
        return 0
    with TemporaryDirectory() as name:
        counts = asyncio.run(rotation(Path(name)))
    print(f"{SECONDS:.0f} s, two issuers on one ring, one Check server:")
    for what, count in sorted(counts.items()):
        print(f"  {what:28} {count:6}")
    is_good = counts["rotations"] >= 50 and counts["valid accepted"] and counts["forged refused"]
    return 0 if is_good and not any(what.isupper() or what.startswith("VALID") for what in counts) else 1


if __name__ == "__main__":
    sys.exit(main())
