"""Who calls while the pictures are made?  Good calls, and every kind of bad one, for each panel to show something."""

import asyncio
import contextlib
import json
import secrets
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from ott_extauthz.demo.pki import Authority
from ott_extauthz.demo.ports import free_ports
from tests.chaos.callers import TARGET
from tests.chaos.dice import Dice
from tests.chaos.fleet import POLICY, RGS, WITHIN, Fleet
from tests.e2e.forge import b64, now
from tests.e2e.servers import SELF, Server, answers

BATCH: Final = "spiffe://bank.example/batch"
_TOKEN: Final = {key: POLICY["routes"][0][key] for key in ("credential", "audience", "bound_to", "clients", "scopes")}


def _route(name: str, path: str, **changes: object) -> dict[str, Any]:
    return {"name": name, "match": {"hosts": ["wallet.api"], "methods": ["POST"], "path": path}, **_TOKEN, **changes}


WIDER: Final[dict[str, Any]] = {
    "revision": "pictures.2",
    "routes": [
        *POLICY["routes"],
        _route("wallet-transfer", "/v1/transfers", when="request.json.amount <= 100"),
        _route("wallet-limits", "/v1/limits", max_auth_age="5m"),
        _route("wallet-bonus", "/v1/bonus", mode="shadow", scopes=["wallet:bonus"]),
        {"name": "health", "match": {"methods": ["GET"], "path": "/healthz"}, "credential": "public"},
    ],
}

Sent = tuple[str, str, str | None, dict[str, Any]]
"""Method, path, token, JSON."""


class CheckTraffic:
    """Calls through Envoy."""

    def __init__(self, fleet: Fleet, rate: float) -> None:
        self._fleet, self._rate, self._dice = fleet, rate, Dice(7)
        self._used: list[str] = []

    async def run(self) -> None:
        """Call until cancelled."""
        loop = asyncio.get_running_loop()
        connector = aiohttp.TCPConnector(limit=16, ssl=self._fleet.caller.context)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=10)) as session:
            tasks: set[asyncio.Task[None]] = set()
            begun = loop.time()
            for number in range(1 << 30):
                await asyncio.sleep(begun + number / self._rate - loop.time())
                if len(tasks) < 4 * self._rate:
                    tasks.add(task := asyncio.create_task(self._call(session, *self._next())))
                    task.add_done_callback(tasks.discard)

    async def _call(
        self, session: aiohttp.ClientSession, method: str, path: str, token: str | None, body: dict[str, Any]
    ) -> None:
        headers = {"host": "wallet.api"} | ({} if token is None else {"x-ott": token})
        url = f"https://127.0.0.1:{self._fleet.port}{path}"
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with session.request(method, url, headers=headers, json=body) as answer:
                await answer.read()

    def _next(self) -> Sent:
        forge, dice = self._fleet.forge, self._dice
        made: list[tuple[int, Callable[[], Sent]]] = [
            (48, lambda: ("POST", TARGET, self._kept(), {})),
            (12, lambda: ("POST", "/v1/transfers", forge.token(), {"amount": 10 + dice.below(105)})),
            (10, lambda: ("GET", "/healthz", None, {})),
            (5, lambda: ("POST", "/v1/bonus", forge.token(), {})),
            (5, lambda: ("POST", "/v1/limits", forge.token(auth_time=now() - dice.below(600)), {})),
            (3, lambda: ("POST", TARGET, dice.one_of(self._used) if self._used else None, {})),
            (4, lambda: ("POST", TARGET, forge.token(iat=now() - 60, exp=now() - 30), {})),
            (2, lambda: ("POST", TARGET, forge.token(cnf={"x5t#S256": b64(secrets.token_bytes(32))}), {})),
            (2, lambda: ("POST", TARGET, forge.token()[:-8] + "AAAAAAAA", {})),
            (3, lambda: ("POST", TARGET, forge.token(scope="wallet:read"), {})),
            (2, lambda: ("POST", TARGET, None, {})),
            (2, lambda: ("POST", "/v1/admin", forge.token(), {})),
            (2, lambda: ("POST", "/v1/wallets/w%3B17;x=1/debit", "a,b", {})),
        ]
        number = dice.below(sum(weight for weight, _ in made))
        for weight, make in made:
            if number < weight:
                return make()
            number -= weight
        raise AssertionError

    def _kept(self) -> str:
        token = self._fleet.forge.token()
        self._used[:] = [*self._used[-50:], token]
        return token


@dataclass(frozen=True, slots=True)
class Issuer:
    """A running issuer; its clients are ``rgs`` and ``batch``."""

    folder: Path
    port: int
    admin: int

    def context(self, name: str) -> ssl.SSLContext:
        """Return what a client connects with."""
        made = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        made.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}-key.pem")
        return made

    def command(self, *words: str) -> None:
        """Run an operator's command."""
        subprocess.run(
            [*SELF, *words, "-c", "issuer.yaml"], cwd=self.folder, check=True, capture_output=True, timeout=60
        )

    async def ask(self) -> None:
        """Have tokens minted, and some refused, until cancelled."""
        dice = Dice(8)
        async with self._session("rgs") as rgs, self._session("batch") as batch:
            while True:
                kind = dice.below(20)
                if kind < 11:
                    await self._token(rgs, "rgs", "wallet.api", "wallet:debit")
                elif kind < 16:
                    await self._token(batch, "batch", "ledger.api", "ledger:write")
                elif kind < 17:
                    await self._token(rgs, "rgs", "ledger.api", "ledger:write")
                elif kind < 18:
                    await self._token(batch, "batch", "ledger.api", "ledger:admin")
                elif kind < 19:
                    await self._token(rgs, "batch", "ledger.api", "ledger:write")  # with somebody else's certificate
                await asyncio.sleep(0.03)

    @asynccontextmanager
    async def _session(self, name: str) -> AsyncIterator[aiohttp.ClientSession]:
        connector = aiohttp.TCPConnector(ssl=self.context(name))
        async with aiohttp.ClientSession(connector=connector) as session:
            yield session

    async def _token(self, session: aiohttp.ClientSession, client: str, audience: str, scope: str) -> None:
        form = {"grant_type": "client_credentials", "client_id": client, "audience": audience, "scope": scope}
        async with session.post(f"https://127.0.0.1:{self.port}/token", data=form) as answer:
            await answer.read()


@asynccontextmanager
async def issuing(folder: Path, until: Callable[[Callable[[], bool]], Awaitable[None]]) -> AsyncIterator[Issuer]:
    """Run an issuer."""
    folder.mkdir()  # noqa: ASYNC240 - nothing else runs yet
    authority = Authority("pictures")
    authority.write(folder)
    authority.issue("issuer", server=True, ips=("127.0.0.1",)).write(folder, "server")
    port, admin = free_ports(2)
    clients = []
    for name, spiffe_id, audience, scope in (
        ("rgs", RGS, "wallet.api", "wallet:debit"),
        ("batch", BATCH, "ledger.api", "ledger:write"),
    ):
        authority.issue(name, uri=spiffe_id).write(folder, name)
        certificate, audiences = {"spiffe_id": spiffe_id}, {audience: {"scopes": [scope]}}
        clients.append(
            {"client_id": name, "authentication": "tls_client_auth", "certificate": certificate, "audiences": audiences}
        )
    (folder / "clients.yaml").write_text(json.dumps({"clients": clients}), encoding="utf-8")
    settings = {
        "url": "https://issuer.pictures", "listen": f"127.0.0.1:{port}", "admin": f"127.0.0.1:{admin}",
        "keys": "keys/", "clients": "clients.yaml", "failure_limit": {"failures": 40, "within": "60s"},
        "tls": {"certificate": "server.pem", "key": "server-key.pem", "client_ca": "ca.pem"},
    }  # fmt: skip
    tree = {"issuer": settings, "audit": {"path": "audit/"}, "log": {"level": "error"}}
    (folder / "issuer.yaml").write_text(json.dumps(tree), encoding="utf-8")
    issuer = Issuer(folder, port, admin)
    issuer.command("keys", "init")
    with Server("issuer", [*SELF, "issue", "-c", "issuer.yaml"], folder):
        async with asyncio.timeout(WITHIN):
            await until(lambda: answers(f"http://127.0.0.1:{admin}/readyz"))
        yield issuer
