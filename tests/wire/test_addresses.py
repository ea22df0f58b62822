"""Where a server listens: ``[::]`` is every address, whichever family the kubelet and the Envoys come with."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

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


@pytest.mark.parametrize("umask", [pytest.param(0, id="a-careless-umask"), pytest.param(0o077, id="a-strict-umask")])
async def test_a_socket_of_http_is_for_owner_and_group_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    """Whoever connects to the issuer's socket may name any client's certificate in a header."""
    before = os.umask(umask)
    try:
        runner = await serve_http(
            web.Application(), f"unix://{tmp_path}/issuer.sock", setting="issuer.listen", on_fault=pytest.fail
        )
    finally:
        os.umask(before)
    mode = (tmp_path / "issuer.sock").stat().st_mode & 0o777
    await runner.cleanup()
    assert oct(mode) == "0o660"


async def test_no_answer_of_an_admin_port_tells_what_runs_there(admin: int) -> None:
    for request in (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"GARBAGE\r\n\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", admin)
        writer.write(request)
        assert b"aiohttp" not in await reader.read()
        writer.close()
