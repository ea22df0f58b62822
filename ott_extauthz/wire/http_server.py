"""How is HTTP listened to?  One way for the issuer and for the admin port; aiohttp's own log is told by type only."""

import logging
import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ott_extauthz.sections.words import host_and_port
from ott_extauthz.wire.listening import ListenError, restrict

_KEEPALIVE_SECONDS: Final = 75.0
_ANY_IPV6: Final = "::"


class _FaultsByType(logging.Handler):
    """Stands in for aiohttp's log, whose texts quote what a client sent, credentials and all.

    Malformed HTTP is the client's affair and answered; everything else is a fault of ours.
    """

    def __init__(self, on_fault: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._on_fault = on_fault

    def emit(self, record: logging.LogRecord) -> None:
        """Tell the type of what aiohttp would have logged."""
        kind = record.exc_info[0] if record.exc_info else None
        if kind is None or not issubclass(kind, HttpProcessingError | web.RequestPayloadError):
            self._on_fault("HTTPServerError" if kind is None else kind.__name__)


class _Nameless(web.Response):
    """An answer to what never became a request, on which no application's signals are sent."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        _take_name_off(self)


class _Wordless(web.RequestHandler):
    """Answers malformed HTTP by its status alone: aiohttp's text quotes what could not be read, credentials and all."""

    __slots__ = ()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer without ``message``."""
        del message
        answer = super().handle_error(request, status, exc)
        answer.__class__ = _Nameless
        return answer


class _Server(web.Server):
    """Makes such handlers."""

    def __call__(self) -> web.RequestHandler:
        """Return the handler of a new connection."""
        return _Wordless(self, loop=self._loop, **self._kwargs)


class _Runner(web.AppRunner):
    """Runs such a server."""

    __slots__ = ()

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server  # aiohttp has no other way to say which handler it makes
        return server


async def serve_http(  # noqa: PLR0913 - where it listens and how, and who is told
    app: web.Application,
    address: str,
    *,
    setting: str,
    on_fault: Callable[[str], None],
    context: ssl.SSLContext | None = None,
    grace: float = 1.0,
) -> web.AppRunner:
    """Serve ``app`` on ``host:port`` (``[::]`` is every address, of IPv4 too) or ``unix:///path``, as ``setting`` says.

    The caller cleans the runner up: that closes the listener first, then gives running requests ``grace`` seconds.

    Raises:
        ListenError: the address cannot be listened on.
    """
    log = logging.Logger("http")  # noqa: LOG001 - of its own: no configuration elsewhere turns the texts on again
    log.addHandler(_FaultsByType(on_fault))
    runner = _Runner(
        app,
        handle_signals=False,
        access_log=None,
        logger=log,
        keepalive_timeout=_KEEPALIVE_SECONDS,
        auto_decompress=False,  # nobody compresses a form of a hundred bytes, except for a bomb
        shutdown_timeout=grace,
    )
    app.on_response_prepare.append(_without_name)
    await runner.setup()
    try:
        await _site(runner, address, context).start()
        restrict(address)
    except OSError as error:
        await runner.cleanup()
        raise ListenError(f"{setting}: cannot listen on {address}: {_why(error)}") from None
    return runner


async def _without_name(_: web.Request, response: web.StreamResponse) -> None:
    _take_name_off(response)


def _take_name_off(response: web.StreamResponse) -> None:
    response.headers.popall("Server", None)  # which versions run here is nobody's business


def _why(error: OSError) -> str:
    """Say it without asyncio's words, which repeat the address; a name that is not found has an errno of its own."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)


def _site(runner: web.AppRunner, address: str, context: ssl.SSLContext | None) -> web.BaseSite:
    if address.startswith("unix://"):
        return web.UnixSite(runner, Path(address.removeprefix("unix://")), ssl_context=context)
    host, port = host_and_port(address)
    if host == _ANY_IPV6 and socket.has_dualstack_ipv6():
        # As gRPC does it: asyncio would take IPv6 alone, and a kubelet's IPv4 probes never arrive.
        both = socket.create_server((host, port), family=socket.AF_INET6, dualstack_ipv6=True)
        return web.SockSite(runner, both, ssl_context=context)
    return web.TCPSite(runner, host, port, ssl_context=context)
