"""What do the drills take place on?  The demo's stage, with more to break: replicas, a store, a clock, a full disk.

Order: store, keys and certificates, then issuer and Check servers side by side, then Envoy.  Everything lives in one
temporary folder and ends with the block that opened it; nothing outside of it is touched.
"""

import asyncio
import secrets
import ssl
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from aiohttp import web

from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.demo.calling import Pairs, Reply, request_bytes, send
from ott_extauthz.demo.files import caller, quoted, write_certificates
from ott_extauthz.demo.pki import x5t_s256_of
from ott_extauthz.demo.ports import free_ports
from ott_extauthz.demo.programs import Program, find_envoy
from ott_extauthz.demo.stage import issued_token, listeners, start_check_server, start_envoy, start_issuer
from ott_extauthz.demo.upstream import echoing_upstream
from ott_extauthz.drills.companion import TurnableClock, companion
from ott_extauthz.drills.forging import Forge
from ott_extauthz.drills.ground_files import FIRST, FULL, OVERSEAS, SECOND, ServerPlace, places, write_files
from ott_extauthz.drills.measured import scraped
from ott_extauthz.drills.relay import NO_ANSWER_ERRORS
from ott_extauthz.drills.store_server import StoreServer, find_store_program
from ott_extauthz.ports import Signer
from ott_extauthz.stores.keyring import Place, Rotation, init_keys, load_ring, retire, rotate

DEBIT: Final = "/v1/wallets/w-17/debit"
_AMOUNT: Final = b'{"amount": 25}'
_CASE: Final = "x-drill"


@dataclass(frozen=True, slots=True)
class Sent:
    """A call, by the name that the service behind Envoy would count it under, and what came back (None: nothing)."""

    case: str
    reply: Reply | None


@dataclass(kw_only=True)
class Ground:
    """The running stage."""

    folder: Path
    servers: Mapping[str, ServerPlace]
    gateways: Mapping[str, int]
    envoy_admin: str
    issuer: int
    issuer_admin: int
    callers: Mapping[str, ssl.SSLContext]
    forge: Forge
    clock: TurnableClock
    store: StoreServer | None
    second: Program
    deliveries: Counter[str]
    _ending: AsyncExitStack = field(repr=False)

    async def token(self, scope: str = "wallet:debit") -> str:
        """Get a one-time token from the issuer, for the wallet."""
        return await issued_token(self.issuer, self.callers["rgs"], "wallet.api", scope)

    def signer(self) -> Signer:
        """Return the issuer's active key, read where it lies now."""
        return load_ring(self._ring).signer

    @property
    def _ring(self) -> Place:
        return Place(directory=self.folder / "keys")

    async def debit(
        self, token: str | None, *extra: tuple[str, str], through: str = FIRST, who: str = "rgs", target: str = DEBIT
    ) -> Sent:
        """POST a debit through the gateway of a Check server."""
        credential: Pairs = () if token is None else (("x-ott", token),)
        return await self.sent(self.gateways[through], self.callers[who], "POST", target, (*credential, *extra))

    async def health(self) -> Sent:
        """Call the public route."""
        return await self.sent(self.gateways[FIRST], self.callers["rgs"], "GET", "/healthz", ())

    async def sent(self, port: int, context: ssl.SSLContext, method: str, target: str, extra: Pairs) -> Sent:
        """Send one call over a connection of its own."""
        case, body = secrets.token_hex(8), _AMOUNT if method == "POST" else b""
        headers: Pairs = (("host", "wallet.api"), (_CASE, case), *extra, ("connection", "close"))
        request = request_bytes(method, target, headers, body)
        try:
            return Sent(case, await asyncio.to_thread(send, port, context, request))
        except NO_ANSWER_ERRORS:
            return Sent(case, None)

    async def metrics(self) -> str:
        """Return what everybody's metrics say now, Envoy's among them."""
        envoy = f"http://{self.envoy_admin}/stats/prometheus?filter=ext_authz"
        return await scraped([*(place.metrics for place in self.servers.values()), envoy])

    def audit_line(self, decision_id: str) -> str | None:
        """Return the audit's line of a decision."""
        for path in (self.folder / "audit").glob("decisions-*.jsonl"):
            for line in path.read_text(encoding="utf-8").splitlines():
                if decision_id in line:
                    return line
        return None

    def rotate_now(self) -> None:
        """Do what ``keys rotate --now`` does."""
        rotate(self._ring, Rotation(), at_once=True, now_ms=SystemClock().now_ms())

    def retire(self, kid: str) -> None:
        """Do what ``keys retire`` does."""
        retire(self._ring, kid, now_ms=SystemClock().now_ms())

    async def restart_second(self) -> None:
        """Start the second replica anew."""
        place = self.servers[SECOND]
        self.second = await start_check_server(self._ending, self.folder, place.admin, name=SECOND, config=place.config)


@asynccontextmanager
async def ground() -> AsyncIterator[Ground]:
    """Build the ground, wait until all of it is up, and clear it away at the end.

    Raises:
        ProgramError: Envoy is missing, or a program did not come up.
    """
    envoy = find_envoy()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ott-drill-")))
        store = await _store(stack, folder)
        deliveries: Counter[str] = Counter()
        upstream = await stack.enter_async_context(echoing_upstream(partial(_count, deliveries)))
        servers, (issuer, issuer_admin) = places(), free_ports(2)
        write_certificates(folder / "tls")
        write_files(folder, servers, _values(folder, issuer, upstream, store), issuer_admin)
        init_keys(folder / "keys", now_ms=SystemClock().now_ms())
        clock = TurnableClock()
        first, second = (
            start_check_server(stack, folder, servers[name].admin, name=name, config=servers[name].config)
            for name in (FIRST, SECOND)
        )
        _, _, second_program = await asyncio.gather(start_issuer(stack, folder, issuer), first, second)
        await stack.enter_async_context(companion(folder / servers[OVERSEAS].config, clock))
        await stack.enter_async_context(companion(folder / servers[FULL].config, TurnableClock()))
        admin = await start_envoy(stack, folder, envoy)
        rgs = (folder / "tls" / "rgs.pem").read_bytes()
        yield Ground(
            folder=folder,
            servers=servers,
            gateways=await listeners(admin),
            envoy_admin=admin,
            issuer=issuer,
            issuer_admin=issuer_admin,
            callers={name: caller(folder, name) for name in ("rgs", "thief")},
            forge=Forge(clock=SystemClock(), x5t_s256=x5t_s256_of(rgs)),
            clock=clock,
            store=store,
            second=second_program,
            deliveries=deliveries,
            _ending=stack,
        )


def _count(deliveries: Counter[str], request: web.Request) -> None:
    deliveries[request.headers.get(_CASE, "")] += 1


async def _store(stack: AsyncExitStack, folder: Path) -> StoreServer | None:
    program = find_store_program()
    if program is None:
        return None
    store = StoreServer(program, folder)
    stack.push_async_callback(store.kill)
    await store.start()
    return store


def _values(folder: Path, issuer: int, upstream: int, store: StoreServer | None) -> dict[str, object]:
    return {
        "ISSUER_PORT": issuer,
        "UPSTREAM_PORT": upstream,
        "STORE": quoted("memory://" if store is None else store.url),
        "TLS": folder / "tls",
        "ACCESS_LOG": folder / "access.log",
    }
