"""A resource behind a real Envoy: our issuer, a Check server that wants DPoP proofs, a service that knows of nothing.

Issuer and Check server run in this process, by clocks that were a minute behind when they started, so that the
used-lists vouch for what is made now.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Final

from ott_extauthz.bootstrap.check_server import build
from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.observe.log import new_logger
from ott_extauthz.settings import load
from tests.e2e.calling import Header, exchange, request
from tests.e2e.gateway import Listener, Places, configuration
from tests.e2e.rig import Answer
from tests.e2e.servers import Server, answers, fetched
from tests.e2e.upstream import Upstream
from tests.fakes.certificates import Authority, Leaf, client_context
from tests.fakes.clock import SkewedClock
from tests.interop.conftest import HEAD_START_MS, RealClock
from tests.issuer_bank import Bank

HOST: Final = "wallet.api"
CLIENTS: Final = """
clients:
  - client_id: rgs
    authentication: tls_client_auth
    certificate: {spiffe_id: "spiffe://bank.example/rgs"}
    audiences:
      wallet.api:
        scopes: ["wallet:debit", "wallet:read"]
        tokens: [one_time_token, access_token]
"""
POLICY: Final = """
revision: "r1"
routes:
  - name: debit
    match: {hosts: [wallet.api], methods: [POST], path: "/v1/wallets/{wallet}/debit"}
    credential: one_time_token
    audience: wallet.api
    bound_to: [dpop]
    from: {header: authorization, scheme: DPoP}
    scopes: ["wallet:debit"]
  - name: read
    match: {hosts: [wallet.api], methods: [GET], path: "/v1/wallets/{wallet}"}
    audience: wallet.api
    any_of:
      - {credential: access_token, bound_to: [certificate, dpop]}
      - {credential: access_token, bound_to: [certificate]}
    scopes: ["wallet:read"]
  - {name: health, match: {methods: [GET], path: /healthz}, credential: public}
"""
NONCE_LIFE_MS: Final = 30_000
_SETTINGS: Final = """
listen: {check: 127.0.0.1:0}
trust: [{issuer: "https://issuer.bank.example", jwks: keys/jwks.json, algorithms: [EdDSA]}]
policy: resource-policy.yaml
store: {url: "memory://", timeout: 2s}
dpop: {nonce: required, nonce_secret: resource-nonces, nonce_life: 30s}
expose_reasons: true
drain: {wait: 0ms, grace: 200ms}
"""


@dataclass(kw_only=True)
class Protected:
    """The issuer, and the resource at ``port``."""

    bank: Bank
    clock: SkewedClock
    upstream: Upstream
    port: int = 0

    @property
    def hosts(self) -> dict[str, int]:
        """Where a client finds the resource."""
        return {HOST: self.port}

    async def call(self, method: str, path: str, headers: Iterable[Header], leaf: Leaf | None) -> Answer:
        """Make one call of exactly these headers."""
        case = token_hex(8)
        raw = request(method, path, [("host", HOST), ("x-case", case), *headers])
        reply = await asyncio.to_thread(exchange, self.port, self._context(leaf), raw)
        return Answer(reply, case, self.upstream.deliveries(case))

    def _context(self, leaf: Leaf | None) -> ssl.SSLContext:
        files = None if leaf is None else leaf.write(self.bank.folder, "caller")
        return client_context(self.bank.authority.pem, files)


@asynccontextmanager
async def protected(folder: Path, authority: Authority, envoy: Path, upstream: Upstream) -> AsyncIterator[Protected]:
    """Start everything, and end it with the block."""
    issuer_clock, clock = RealClock(), SkewedClock(-HEAD_START_MS)
    bank = Bank(folder, authority, clock=issuer_clock, clients=CLIENTS).prepare()
    authority.leaf("issuer", dns=("issuer.bank.example",), ips=("127.0.0.1",)).write(folder, "server")
    _write(folder, authority)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(bank.open())
        check = await _serve_check(folder, clock, stack)
        issuer_clock.catch_up()
        clock.offset_ms = 0
        places = Places(folder, upstream.port, upstream.port, {"ott": (check,)})
        (folder / "envoy.json").write_text(json.dumps(configuration(places, (Listener("shipped", tls="optional"),))))
        found = Protected(bank=bank, clock=clock, upstream=upstream)
        found.port = await _serve_envoy(folder, envoy, stack)
        yield found


def _write(folder: Path, authority: Authority) -> None:
    tls = folder / "tls"
    tls.mkdir()
    (tls / "ca.pem").write_bytes(authority.pem)
    authority.leaf("gateway", dns=(HOST,), ips=("127.0.0.1",)).write(tls, "server")
    authority.leaf("gateway").write(tls, "gateway")
    (folder / "resource-policy.yaml").write_text(POLICY)
    (folder / "check.yaml").write_text(_SETTINGS)
    secret = folder / "resource-nonces"
    secret.touch(mode=0o600)
    secret.write_text(token_hex(32))


async def _serve_check(folder: Path, clock: SkewedClock, stack: AsyncExitStack) -> str:
    settings = load(folder / "check.yaml", {})
    socket = f"unix://{folder}/check.sock"
    inputs = check_inputs(settings, "check.yaml")
    app = build(settings, inputs, address=socket, logger=new_logger("error"), clock=clock)
    await app.used_list.start()
    stack.push_async_callback(app.used_list.close)
    await app.server.start()
    stack.push_async_callback(app.server.leave)
    return socket


async def _serve_envoy(folder: Path, envoy: Path, stack: AsyncExitStack) -> int:
    admin = folder / "admin.txt"
    options = ["--concurrency", "1", "-l", "warning", "--use-dynamic-base-id", "--admin-address-path", str(admin)]
    server = stack.enter_context(Server("envoy", [envoy, "-c", folder / "envoy.json", *options], folder))
    for _ in range(400):
        assert server.process.poll() is None, server.told()
        if admin.exists() and await asyncio.to_thread(answers, f"http://{admin.read_text()}/ready"):
            break
        await asyncio.sleep(0.05)
    told = await asyncio.to_thread(fetched, f"http://{admin.read_text()}/listeners?format=json")
    port: int = json.loads(told)["listener_statuses"][0]["local_address"]["socket_address"]["port_value"]
    return port
