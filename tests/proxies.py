"""A TCP proxy that stands between a client and a store and spoils things on purpose; it can also speak TLS."""

import asyncio
import ssl
from collections.abc import Callable
from types import TracebackType
from typing import Self

Tamper = Callable[[bytes], bytes]


class DropProxy:
    """Forwards a loopback port.  Every trouble is off until a test turns it on."""

    def __init__(self, port: int, *, tls: ssl.SSLContext | None = None) -> None:
        self.port = 0
        self.connections = 0
        self.drop_replies = 0  # so many chunks from the store are swallowed, and the connection is cut after each
        self.drop_containing: bytes | None = None  # the same for every chunk with these bytes in it
        self.swallow_replies = 0  # so many are swallowed, and the connection goes on as if nothing had happened
        self.halve_replies = (
            0  # of so many chunks from the store only half arrives, and the connection is cut after each
        )
        self.tamper: Tamper | None = None  # changes the next chunk from the store
        self.is_holding = False  # replies wait
        self._to = port
        self._tls = tls
        self._held = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"{'rediss' if self._tls else 'redis'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.release()
        while self._open:
            self.cut()
            await asyncio.sleep(0.005)

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._open:
            writer.transport.abort()

    def release(self) -> None:
        """Let held replies go on."""
        self.is_holding = False
        self._held.set()
        self._held = asyncio.Event()

    async def has_swallowed(self) -> bool:
        """Whether every reply that was to vanish has vanished."""
        return self.swallow_replies == 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            store_reader, store_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, store_writer}
        try:
            await asyncio.gather(self._requests(reader, store_writer), self._replies(store_reader, writer))
        except OSError:
            pass  # a side went away: what this proxy is for
        finally:
            writer.transport.abort()
            store_writer.transport.abort()
            self._open -= {writer, store_writer}

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        raise ConnectionResetError

    async def _replies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if self.is_holding:
                await self._held.wait()
            if self.swallow_replies > 0:
                self.swallow_replies -= 1
            elif self.halve_replies > 0:
                self.halve_replies -= 1
                writer.write(data[: len(data) // 2])
                await writer.drain()
                break
            elif self.tamper is not None:
                tamper, self.tamper = self.tamper, None
                writer.write(tamper(data))
            elif self.drop_replies > 0:
                self.drop_replies -= 1
                break
            elif self.drop_containing is not None and self.drop_containing in data:
                break
            else:
                writer.write(data)
        raise ConnectionResetError
