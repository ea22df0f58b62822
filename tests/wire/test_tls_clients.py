"""TLS as Envoy Gateway speaks it to a Check server: two protocols offered, a name checked, a certificate shown."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ott_extauthz.sections.server import Tls
from ott_extauthz.wire.transports import listen, new_server
from tests.fakes.certificates import Authority

NAME = "pay-ott-extauthz.auth.svc.cluster.local"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"


@pytest.fixture
async def port(authority: Authority, tmp_path: Path) -> AsyncIterator[int]:
    certificate, key = authority.leaf("server", dns=(NAME,)).write(tmp_path, "server")
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    server = new_server("grpcio")
    bound = listen(server, "127.0.0.1:0", Tls(certificate=certificate, key=key, client_ca=tmp_path / "ca.pem"))
    await server.start()
    yield bound
    await server.stop(0)


def proxy(authority: Authority, folder: Path, *, shows: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.set_alpn_protocols(["h2", "http/1.1"])
    if shows:
        context.load_cert_chain(*authority.leaf("envoy").write(folder, "envoy"))
    return context


async def answered(port: int, context: ssl.SSLContext, name: str = NAME) -> tuple[str | None, bytes]:
    """Return the protocol that was chosen, and what the server says to HTTP/2's first words."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    try:
        writer.write(PREFACE)
        async with asyncio.timeout(60):
            return writer.get_extra_info("ssl_object").selected_alpn_protocol(), await reader.read(9)
    finally:
        writer.close()


async def test_of_two_protocols_the_server_takes_the_one_that_grpc_needs(
    port: int, authority: Authority, tmp_path: Path
) -> None:
    chosen, frame = await answered(port, proxy(authority, tmp_path, shows=True))
    assert chosen == "h2"
    assert frame[3] == 4, "the server's own SETTINGS: it speaks HTTP/2 with this client"


async def test_a_proxy_without_a_certificate_gets_no_word(port: int, authority: Authority, tmp_path: Path) -> None:
    try:
        _, frame = await answered(port, proxy(authority, tmp_path, shows=False))
    except (ssl.SSLError, ConnectionError):
        return
    assert frame == b""


async def test_a_proxy_does_not_speak_to_another_name(port: int, authority: Authority, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await answered(port, proxy(authority, tmp_path, shows=True), name="other.auth.svc.cluster.local")
