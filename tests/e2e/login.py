"""An issuer of opaque tokens that Check servers ask: real HTTPS, in a thread, and it can go away and come back."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

from ott_extauthz.demo.ports import free_ports
from tests.e2e.forge import now

LOGIN: Final = "https://login.bank.example"
SECRET: Final = "e2e-secret"


class Login:
    """Knows tokens by their text; a token that it does not know, or was taken back, is not active."""

    def __init__(self, tls: Path) -> None:
        [self.port] = free_ports(1)
        self.asked: list[str] = []
        self._known: dict[str, dict[str, Any]] = {}
        self._tls = tls
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def settings(self) -> dict[str, Any]:
        """How a Check server is told to ask; no answer is kept, so that what happens here shows at once."""
        (self._tls / "login-secret").touch(mode=0o600)
        (self._tls / "login-secret").write_text(SECRET, encoding="utf-8")
        return {
            "issuer": LOGIN,
            "endpoint": f"https://127.0.0.1:{self.port}/introspect",
            "ca": "tls/ca.pem",
            "client_id": "wallet",
            "authentication": "client_secret_basic",
            "secret_file": "tls/login-secret",
            "cache": {"active": "0s", "inactive": "0s"},
            "timeout": "4s",
        }

    def issue(self, text: str, **members: Any) -> str:
        """Let a token be good."""
        good = {"active": True, "token_type": "Bearer", "sub": "player-7", "client_id": "rgs", "aud": "wallet.api"}
        self._known[text] = good | {"iat": int(now()) - 5, "exp": int(now()) + 300, "scope": "wallet:debit"} | members
        return text

    def revoke(self, text: str) -> None:
        """Take it back."""
        del self._known[text]

    def answer(self, body: bytes) -> bytes:
        token = parse_qs(body.decode())["token"][0]
        self.asked.append(token)
        return json.dumps(self._known.get(token, {"active": False})).encode()

    def start(self) -> None:
        login = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                answer = login.answer(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's own name
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._tls / "server.pem", self._tls / "server-key.pem")
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="login")
        self._thread.start()

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(10)
        self._server = None

    @contextmanager
    def running(self) -> Iterator["Login"]:
        self.start()
        try:
            yield self
        finally:
            self.stop()
