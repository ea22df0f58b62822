"""Stands in for a proxy with a Check server behind it: each token once, and refusals as ours are written."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class OneUseProxy:
    """``spent`` are tokens that somebody used before; ``script`` are codes to refuse with, whatever comes."""

    spent: set[str] = field(default_factory=set)
    script: list[str] = field(default_factory=list)
    seen: list[tuple[str, str, str | None, bytes]] = field(default_factory=list)
    decision_header: str | None = "d-1"
    decision_body: str = "d-1"
    content_type: str = "application/problem+json"
    padding: str = ""
    redirect: str | None = None
    origin: str = ""

    async def handle(self, request: web.Request) -> web.Response:
        token = request.headers.get("x-ott")
        self.seen.append((request.method, request.path, token, await request.read()))
        if self.script:
            return self.refusal(self.script.pop(0))
        if token is not None and token in self.spent:
            return self.refusal("TOKEN_REPLAYED")
        self.spent.add(token or "")
        if self.redirect is not None and request.path != "/moved":
            return web.Response(status=307, headers={"location": self.redirect})
        return web.Response(text="delivered")

    def refusal(self, code: str) -> web.Response:
        headers = {} if self.decision_header is None else {"x-ott-decision-id": self.decision_header}
        body = {"code": code, "decision_id": self.decision_body, "token_state": "spent", "title": self.padding}
        return web.Response(body=json.dumps(body), status=401, content_type=self.content_type, headers=headers)

    @property
    def tokens(self) -> list[str | None]:
        return [token for _, _, token, _ in self.seen]

    @asynccontextmanager
    async def running(self) -> AsyncIterator["OneUseProxy"]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()
