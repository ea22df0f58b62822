"""An https server of key sets on loopback, which answers as it is told, lies included."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from ott_extauthz.documents.https_url import HttpsUrl, https_url
from tests.fakes.certificates import Authority, Leaf

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class KeySetServer:
    """``document`` is what it serves; ``answer`` replaces that; both may be changed at any time."""

    document: bytes
    cache_control: str | None = "max-age=300"
    answer: Answer | None = None
    requests: list[dict[str, str]] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    url: HttpsUrl = field(default_factory=lambda: https_url("https://127.0.0.1"))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(dict(request.headers))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            return await (self.answer or self._serve)(request)
        finally:
            self.under_way -= 1

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        etag = f'"{hashlib.sha256(self.document).hexdigest()[:16]}"'
        headers = {"ETag": etag} | ({"Cache-Control": self.cache_control} if self.cache_control else {})
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=self.document, content_type="application/jwk-set+json", headers=headers)


@asynccontextmanager
async def key_set_server(
    folder: Path, document: bytes, *, authority: Authority | None = None, leaf: Leaf | None = None
) -> AsyncIterator[KeySetServer]:
    """Serve until the block ends; ``folder`` gets ``ca.pem``."""
    authority = authority or Authority()
    leaf = leaf or authority.leaf("keys", ips=("127.0.0.1",))
    (folder / "ca.pem").write_bytes(authority.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*leaf.write(folder, "keys"))
    server = KeySetServer(document)
    app = web.Application()
    app.router.add_get("/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        server.url = https_url(f"https://127.0.0.1:{runner.addresses[0][1]}/jwks?brand=a")
        yield server
    finally:
        await runner.cleanup()


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for it, however busy the machine is."""
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)
