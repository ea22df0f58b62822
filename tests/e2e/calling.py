"""How do the tests call Envoy?  Exact bytes over TLS, on the demo's own small client."""

import socket
import ssl
from collections.abc import Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ott_extauthz.demo.calling import Reply, mutual_tls, read_reply

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT = 20.0
Header = tuple[str, str | bytes]


def request(method: str, target: str, headers: Iterable[Header], body: bytes = b"") -> bytes:
    """Write down a request; values may be any bytes."""
    lines = [f"{method} {target} HTTP/1.1".encode("latin-1")]
    lines += [name.encode("latin-1") + b": " + _raw(value) for name, value in headers]
    return b"\r\n".join([*lines, b"", b""]) + body


def _raw(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1")


class Caller:
    """One client certificate (or none), as TLS contexts."""

    def __init__(self, tls: Path, name: str | None) -> None:
        self._tls = tls
        self._name = name
        self.context = self.context_for()

    def context_for(self, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """A fresh context, held to one TLS version when asked."""
        if self._name is None:
            context = ssl.create_default_context(cafile=str(self._tls / "ca.pem"))
        else:
            certificate, key = self._tls / f"{self._name}.pem", self._tls / f"{self._name}-key.pem"
            context = mutual_tls(self._tls / "ca.pem", certificate, key)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context


@contextmanager
def connection(
    port: int, context: ssl.SSLContext | None, session: ssl.SSLSession | None = None
) -> "Iterator[socket.socket]":
    """Open a connection to loopback, over TLS unless ``context`` is None."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is None:
            yield plain
            return
        with context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as encrypted:
            yield encrypted
            with suppress(OSError):  # Envoy may be gone first
                encrypted.shutdown(socket.SHUT_RDWR)


def exchange(port: int, context: ssl.SSLContext | None, raw: bytes) -> Reply:
    """Send the bytes over a new connection and read one response."""
    with connection(port, context) as opened:
        opened.sendall(raw)
        return read_reply(opened, raw.partition(b" ")[0].decode("latin-1"))
