"""What can an operator ask?  ``/metrics``, ``/healthz`` and ``/readyz`` over plain HTTP, away from the Check port."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """What the endpoints answer with: the metrics for an ``Accept`` header, and (ready, lines of detail)."""

    metrics: Callable[[str], tuple[bytes, str]]
    readiness: Callable[[], Awaitable[tuple[bool, list[str]]]]


def admin_app(admin: Admin) -> web.Application:
    """Return the HTTP application."""

    async def metrics(request: web.Request) -> web.Response:
        body, content_type = admin.metrics(request.headers.get("accept", ""))
        return web.Response(body=body, headers={"content-type": content_type})

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(request: web.Request) -> web.Response:
        ready, details = await admin.readiness()
        lines = ["ready" if ready else "not ready", *(details if "verbose" in request.query or not ready else ())]
        return web.Response(text="\n".join(lines) + "\n", status=200 if ready else 503)

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get("/healthz", healthz), web.get("/readyz", readyz)])
    return app
