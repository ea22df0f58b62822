"""Where a server listens: ``[::]`` is every address, whichever family the kubelet and the Envoys come with."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from ott_extauthz.wire.http_server import serve_http
from ott_extauthz.wire.transports import listen, new_server

needs_ipv6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")


@pytest.fixture
async def admin() -> AsyncIterator[int]:
    runner = await serve_http(web.Application(), "[::]:0", setting="listen.admin", on_fault=pytest.fail)
    yield runner.addresses[0][1]
    await runner.cleanup()


async def reached(host: str, port: int) -> bool:
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    await writer.wait_closed()
    return True


@needs_ipv6
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_probes_of_either_family_reach_the_admin_port(host: str, admin: int) -> None:
    """asyncio listens to IPv6 alone there, and a pod with both families would never be ready."""
    assert await reached(host, admin)


@needs_ipv6
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("transport", ["native", "grpcio"])
async def test_checks_of_either_family_reach_the_server(host: str, transport: str) -> None:
    server = new_server("native" if transport == "native" else "grpcio")
    port = listen(server, "[::]:0", None)
    await server.start()
    try:
        assert await reached(host, port)
    finally:
        await server.stop(0)
