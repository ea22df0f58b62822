"""What reaches the service behind Envoy?  A small HTTP/1.1 server that writes down every delivery, byte for byte.

It does what the request's own headers ask for: ``x-answer: 503,503,200`` answers the n-th delivery of a case with the
n-th status, ``x-redirect: URL`` redirects, ``upgrade: websocket`` switches protocols.
"""

import asyncio
import hashlib
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request as it arrived; header names in lower case, values as latin-1."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def header(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.headers}


class Upstream:
    """Serves in a thread of its own; deliveries are told apart by the case that the caller puts into ``x-case``."""

    def __init__(self) -> None:
        self.port = 0
        self._deliveries: list[Delivery] = []

    def deliveries(self, case: str) -> list[Delivery]:
        return [delivery for delivery in list(self._deliveries) if delivery.header("x-case") == case]

    @contextmanager
    def running(self) -> Iterator["Upstream"]:
        loop = asyncio.new_event_loop()
        server = loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_LIMIT))
        self.port = server.sockets[0].getsockname()[1]
        thread = threading.Thread(target=loop.run_forever, name="upstream")
        thread.start()
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(_closed(server), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (delivery := await _read(reader, writer)) is not None:
                self._deliveries.append(delivery)
                writer.write(self._answer(delivery))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # Envoy closes idle and refused connections; what was delivered is written down already
        finally:
            writer.close()

    def _answer(self, delivery: Delivery) -> bytes:
        if delivery.header("upgrade") == "websocket":
            return _switched(delivery.header("sec-websocket-key") or "")
        redirect = delivery.header("x-redirect")
        if redirect:
            return _response(302, "location: " + redirect)
        count = len(self.deliveries(delivery.header("x-case") or ""))
        statuses = (delivery.header("x-answer") or "200").split(",")
        return _response(int(statuses[min(count, len(statuses)) - 1]), without_body=delivery.method == "HEAD")


async def _closed(server: asyncio.Server) -> None:
    server.close()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.sleep(0)


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Delivery | None:
    head = await _head(reader)
    if head is None:
        return None
    request_line, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = request_line.split(" ")
    headers = tuple((name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
    found = dict(headers)
    if found.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if "chunked" in found.get("transfer-encoding", ""):
        body = await _chunks(reader)
    else:
        body = await reader.readexactly(int(found.get("content-length", "0")))
    return Delivery(method, target, headers, body)


async def _head(reader: asyncio.StreamReader) -> bytes | None:
    try:
        return (await reader.readuntil(b"\r\n\r\n"))[:-4]
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readline()
    return body


def _response(status: int, *headers: str, without_body: bool = False) -> bytes:
    body = b"delivered\n"
    lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(body)}", "x-from: upstream", *headers, "", ""]
    return "\r\n".join(lines).encode() + (b"" if without_body else body)


def _switched(key: str) -> bytes:
    accept = b64encode(hashlib.sha1(key.encode() + _WEBSOCKET_GUID).digest()).decode()  # noqa: S324 - RFC 6455 says so
    lines = ["HTTP/1.1 101 Switching", "upgrade: websocket", "connection: upgrade", f"sec-websocket-accept: {accept}"]
    return "\r\n".join([*lines, "", ""]).encode()
