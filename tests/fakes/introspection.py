"""An issuer that is asked about its tokens, and who listens: in this process, and over real HTTPS."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from ott_extauthz.check.introspecting import IntrospectionError, IntrospectionResult
from tests.fakes.certificates import Authority
from tests.fakes.issuer import NOW_MS

LOGIN = "https://login.bank.example"


def active(now_ms: int = NOW_MS, **changes: Any) -> dict[str, Any]:
    """What is said of a good token; a change to ``...`` leaves the member out."""
    now = now_ms // 1000
    good = {
        "active": True,
        "iss": LOGIN,
        "sub": "player-7",
        "client_id": "rgs",
        "aud": "wallet.api",
        "iat": now - 60,
        "exp": now + 3600,
        "scope": "wallet:read",
        "token_type": "Bearer",
    } | changes
    return {name: value for name, value in good.items() if value is not ...}


class FakeEndpoint:
    """Knows tokens by their text; waits, and fails, when told to."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Any] | bytes] = {}
        self.fails: IntrospectionResult | Exception | None = None
        self.asked: list[str] = []
        self.under_way = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def ask(self, token: str) -> bytes:
        self.asked.append(token)
        self.under_way += 1
        try:
            await self.may_answer.wait()
        finally:
            self.under_way -= 1
        if isinstance(self.fails, IntrospectionResult):
            raise IntrospectionError(self.fails, "told to")
        if self.fails is not None:
            raise self.fails
        answer = self.known.get(token, {"active": False})
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()


class Listening:
    """Remembers how questions ended."""

    def __init__(self) -> None:
        self.results: list[IntrospectionResult] = []
        self.seconds: list[float] = []
        self.faults: list[str] = []

    def introspected(self, issuer: str, result: IntrospectionResult) -> None:
        assert issuer == LOGIN
        self.results.append(result)

    def introspection_took(self, issuer: str, seconds: float) -> None:
        assert issuer == LOGIN
        self.seconds.append(seconds)

    def faulted(self, error_type: str) -> None:
        self.faults.append(error_type)


@dataclass(frozen=True)
class Question:
    """A request as it came."""

    headers: dict[str, str]
    form: dict[str, str]
    peer: str | None
    connection: int


Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class IntrospectionServer:
    """``known`` are its tokens; ``answer`` replaces what it does; both may be changed at any time."""

    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    answer: Answering | None = None
    questions: list[Question] = field(default_factory=list)
    connections: dict[int, asyncio.Transport] = field(default_factory=dict)
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)
        certificate = transport.get_extra_info("peercert")
        peer = None if not certificate else str(dict(part[0] for part in certificate["subject"])["commonName"])
        self.connections[id(transport)] = transport
        self.questions.append(Question(dict(request.headers), form, peer, id(transport)))
        if self.answer is not None:
            return await self.answer(request)
        return web.json_response(self.known.get(form.get("token", ""), {"active": False}))


@asynccontextmanager
async def introspection_server(
    folder: Path, *, authority: Authority | None = None, is_plain: bool = False
) -> AsyncIterator[IntrospectionServer]:
    """Serve until the block ends; ``folder`` gets ``ca.pem``."""
    authority = authority or Authority()
    (folder / "ca.pem").write_bytes(authority.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.leaf("login", ips=("127.0.0.1",)).write(folder, "login"))
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    server = IntrospectionServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=None if is_plain else context)
        await site.start()
        server.url = f"{'http' if is_plain else 'https'}://127.0.0.1:{runner.addresses[0][1]}/introspect"
        yield server
    finally:
        await runner.cleanup()
