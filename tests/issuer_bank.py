"""An issuer over real HTTPS, and the clients that call it with real client certificates."""

import asyncio
import contextlib
import json
import secrets
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from ott_extauthz.bootstrap.issuer import IssuerApp, assemble
from ott_extauthz.bootstrap.issuer_desks import endpoints
from ott_extauthz.bootstrap.issuer_inputs import CONFIGURATION, IssuerInputs, issuer_inputs
from ott_extauthz.bootstrap.issuer_tracing import IssuerTracer
from ott_extauthz.bootstrap.rings import NobodyListens
from ott_extauthz.bootstrap.used_lists import new_used_list
from ott_extauthz.issuer.observer import IssuerObserver
from ott_extauthz.issuer.token_endpoint import TokenEndpoint
from ott_extauthz.issuer.trail import IssuerTrail, NoTrail
from ott_extauthz.ports import Clock, Entropy
from ott_extauthz.reload.source import InForce, ReloadListener, Result, Shown
from ott_extauthz.settings import Settings, load
from ott_extauthz.stores.keyring import init_keys
from ott_extauthz.wire.http_server import serve_http
from ott_extauthz.wire.issuer_tls import TlsFiles
from tests.fakes.certificates import Authority, Leaf, client_context
from tests.fakes.issuing import Remembering, SetClock

RGS = "spiffe://bank.example/rgs"
CLIENTS = f"""
clients:
  - client_id: rgs
    authentication: tls_client_auth
    certificate: {{spiffe_id: "{RGS}"}}
    audiences:
      wallet.api: {{scopes: ["wallet:debit", "wallet:read"], lifetime: 45500ms}}
  - client_id: batch
    authentication: tls_client_auth
    certificate: {{dns: batch.bank.example}}
    audiences: {{ledger.api: {{scopes: ["ledger:write"]}}}}
"""
FORM = {"grant_type": "client_credentials", "client_id": "rgs", "resource": "wallet.api"}
FORM_TYPE = "application/x-www-form-urlencoded"
HEAD = f"POST /token HTTP/1.1\r\nHost: issuer\r\nContent-Type: {FORM_TYPE}\r\n".encode()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str]:
        assert self.headers["Cache-Control"] == "no-store"
        assert self.headers["Content-Type"].startswith("application/json")
        assert set(self.json) == {"error", "error_description"}
        return self.status, self.json["error"]


class Reloaded:
    """Remembers how reloads ended."""

    def __init__(self) -> None:
        self.results: list[tuple[str, Result]] = []

    def reloaded(self, source: Shown, result: Result, before: InForce[Any]) -> None:
        assert before is not None
        self.results.append((source.name, result))


def build_issuer(
    settings: Settings, *, clock: Clock, entropy: Entropy, observer: IssuerObserver, source: str = CONFIGURATION
) -> web.Application:
    """Put an issuer together without audit; nothing listens yet, and nothing is followed but its keys."""
    return assemble(
        settings, clock=clock, entropy=entropy, observer=observer, trail=NoTrail(), listener=Reloaded(), source=source
    ).app


@dataclass
class Bank:
    """A folder with everything an issuer needs, and the clients that call it."""

    folder: Path
    authority: Authority = field(default_factory=Authority)
    clock: SetClock = field(default_factory=SetClock)
    observer: Remembering = field(default_factory=Remembering)
    listening: IssuerObserver | None = None
    trail: IssuerTrail = field(default_factory=NoTrail)
    reloaded: Reloaded = field(default_factory=Reloaded)
    listener: ReloadListener | None = None
    entropy: Entropy = secrets.token_bytes
    new_tracer: Callable[[IssuerInputs], IssuerTracer | None] = lambda _: None
    url: str = "https://issuer.bank.example"
    clients: str = CLIENTS
    issuer_settings: str = ""
    secret: str = ""
    port: int = 0
    issuer: IssuerApp = field(init=False, repr=False)

    def prepare(self) -> "Bank":
        self.authority.leaf("issuer", ips=("127.0.0.1",)).write(self.folder, "server")
        (self.folder / "ca.pem").write_bytes(self.authority.pem)
        (self.folder / "clients.yaml").write_text(self.clients)
        init_keys(self.folder / "keys", now_ms=self.clock.at_ms)
        (self.folder / "ott.yaml").write_text(
            f"issuer: {{url: '{self.url}', listen: '127.0.0.1:0', "
            "tls: {certificate: server.pem, key: server-key.pem, client_ca: ca.pem}"
            f"{self.issuer_settings}}}\n"
        )
        return self

    @property
    def settings(self) -> Settings:
        return load(self.folder / "ott.yaml", {})

    def inputs(self) -> IssuerInputs:
        return issuer_inputs(self.settings, clock=self.clock, listener=NobodyListens(), source="ott.yaml")

    def endpoint(self, inputs: IssuerInputs) -> TokenEndpoint:
        used_list = new_used_list(self.settings, clock=self.clock, on_change=lambda _: None)
        return endpoints(
            inputs, self.settings, used_list, clock=self.clock, entropy=self.entropy, observer=self.observer,
            trail=NoTrail(),
        )(inputs)  # fmt: skip

    @property
    def tls(self) -> TlsFiles:
        return TlsFiles(
            certificate=self.folder / "server.pem",
            key=self.folder / "server-key.pem",
            client_ca=self.folder / "ca.pem",
        )

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Bank"]:
        self.issuer = assemble(
            self.settings, clock=self.clock, entropy=self.entropy, observer=self.listening or self.observer,
            trail=self.trail, listener=self.listener or self.reloaded,
            new_tracer=self.new_tracer,
        )  # fmt: skip
        app, context = self.issuer.app, self.issuer.context
        assert context is not None
        runner = await serve_http(
            app, "127.0.0.1:0", setting="issuer.listen", context=context, grace=0.2, on_fault=self.observer.faulted
        )
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    def context(self, leaf: Leaf | None) -> ssl.SSLContext:
        return client_context(self.authority.pem, leaf.write(self.folder, "client") if leaf else None)

    def session(self, leaf: Leaf | None) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            f"https://127.0.0.1:{self.port}", connector=aiohttp.TCPConnector(ssl=self.context(leaf))
        )

    async def request(self, method: str, path: str, leaf: Leaf | None, **options: Any) -> Answer:
        async with self.session(leaf) as session, session.request(method, path, **options) as response:
            return Answer(response.status, response.headers, await response.read())

    async def token(self, leaf: Leaf | None, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a form; ``body`` is a whole one, or changes to a good one where None leaves a field out."""
        if body is None or isinstance(body, dict):
            fields: dict[str, Any] = FORM | (body or {})
            body = urlencode([(name, value) for name, value in fields.items() if value is not None], doseq=True)
        headers = {"Content-Type": FORM_TYPE} | dict(headers or {})
        return await self.request(
            "POST", "/token", leaf, data=body, headers=headers, skip_auto_headers=["Content-Type"]
        )


async def raw(bank: Bank, leaf: Leaf, *pieces: bytes) -> bytes:
    """Send the pieces one by one, so that each arrives by itself; return the first answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", bank.port, ssl=bank.context(leaf))
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.05)
    answer = await asyncio.wait_for(reader.read(4096), 5)
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()
    return answer
