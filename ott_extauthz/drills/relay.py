"""Who stands in the middle?  A relay that ends the caller's TLS, reads what is sent, and presents it onward as its own.

It keeps the last token that it saw, as an attacker would; nothing prints it.
"""

import asyncio
import http.client
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from ott_extauthz.demo.calling import Reply, read_reply

_TOKEN: Final = re.compile(rb"\r\nx-ott: ([^\r\n]+)")
_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)")
_PATIENCE: Final = 10.0


@dataclass(slots=True)
class Relay:
    """Listens on a loopback port; goes on to ``onward`` with the TLS context that it is given at the time."""

    onward: int
    context: ssl.SSLContext | None = None
    port: int = 0
    captured: str = field(default="", repr=False)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on one request, and the answer if there is one."""
        try:
            async with asyncio.timeout(_PATIENCE):
                request = await _request(reader)
                found = _TOKEN.search(request)
                self.captured = found[1].decode() if found else ""
                writer.write(await self._answer(request))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # what the drill is about: there is nothing to pass on, and the caller sees the connection end
        finally:
            writer.close()

    async def _answer(self, request: bytes) -> bytes:
        onward, out = await asyncio.open_connection(
            "127.0.0.1", self.onward, ssl=self.context, server_hostname=self.context and "127.0.0.1"
        )
        try:
            out.write(request)
            await out.drain()
            return await onward.read()
        finally:
            out.close()


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return head + await reader.readexactly(int(length[1]) if length else 0)


@asynccontextmanager
async def relaying(onward: int, identity: ssl.SSLContext) -> AsyncIterator[Relay]:
    """Run a relay with this server identity for as long as the block runs."""
    relay = Relay(onward)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0, ssl=identity)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        await server.wait_closed()


NO_ANSWER_ERRORS: Final = (OSError, http.client.HTTPException)
"""What a client gets where nobody lets it in: a handshake refused, a connection ended."""


async def plainly(port: int, request: bytes) -> Reply | None:
    """Send a request without TLS; returns the answer, or None where there is no HTTP in it."""
    return await asyncio.to_thread(_plainly, port, request)


def _plainly(port: int, request: bytes) -> Reply | None:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE) as connection:
            connection.sendall(request)
            return read_reply(connection, "POST")
    except NO_ANSWER_ERRORS:
        return None
