"""What does the service behind Envoy see?  A small one that answers with exactly what it received."""

import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def _nobody(_request: web.Request) -> None:
    return None


async def _echo(request: web.Request) -> web.Response:
    headers: dict[str, list[str]] = {}
    for name, value in request.raw_headers:  # latin-1 keeps every byte, a list every line
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    seen = {"method": request.method, "path": request.raw_path, "headers": headers}
    return web.json_response(text=json.dumps(seen, indent=2) + "\n")


@asynccontextmanager
async def echoing_upstream(tell: Callable[[web.Request], None] = _nobody) -> "AsyncIterator[int]":
    """Serve on a free loopback port for as long as the block runs, ``tell`` of each request; yields the port."""

    async def answer(request: web.Request) -> web.Response:
        tell(request)
        return await _echo(request)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
