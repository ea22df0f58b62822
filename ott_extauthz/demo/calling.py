"""How does the tour call Envoy?  Exact bytes over TLS: a library would tidy up the very requests that matter here."""

import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_TIMEOUT: Final = 10.0
_MAX_BODY: Final = 1 << 20

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP response; every header line on its own, names in lower case."""

    status: int
    headers: Pairs
    body: bytes

    def all(self, name: str) -> list[str]:
        """Return every value of a header, in order."""
        return [value for key, value in self.headers if key == name]

    def header(self, name: str) -> str | None:
        """Return the first value of a header."""
        return next(iter(self.all(name)), None)

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever the other side sent
        """Return the body read as JSON; None when it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def code(self) -> str | None:
        """The refusal's family, the ``code`` of its problem document; None on an answer of somebody else."""
        return str(self.json["code"]) if isinstance(self.json, dict) and "code" in self.json else None

    @property
    def reason(self) -> str | None:
        """The exact cause, shown because the demo sets ``expose_reasons``."""
        return self.header("x-ott-reason")


def mutual_tls(ca: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """Return a client context that trusts ``ca`` alone and shows ``certificate``."""
    context = ssl.create_default_context(cafile=str(ca))
    context.load_cert_chain(certificate, key)
    return context


def request_bytes(method: str, target: str, headers: Pairs, body: bytes = b"") -> bytes:
    """Write down one HTTP/1.1 request; nothing is normalised, nothing is added but the body's length."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    if body:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def send(port: int, context: ssl.SSLContext, request: bytes) -> Reply:
    """Send the bytes over a new connection to loopback and read one response.

    Raises:
        OSError: the connection failed or went silent.
        http.client.HTTPException: what came back is not HTTP.
    """
    with (
        socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        connection.sendall(request)
        return read_reply(connection, request.partition(b" ")[0].decode("latin-1"))


def read_reply(connection: socket.socket, method: str) -> Reply:
    """Read one response to ``method`` from an open connection."""
    response = http.client.HTTPResponse(connection, method=method)
    try:
        response.begin()
        body = response.read(_MAX_BODY)
        return Reply(response.status, tuple((name.lower(), value) for name, value in response.getheaders()), body)
    finally:
        response.close()
