"""Real PostgreSQL servers for tests: Debian's binaries, a data directory of our own, ended by their own pids.

PostgreSQL refuses to run as root, so root lends it the user ``postgres`` and a directory that this user can reach.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.processes import free_port

START_SECONDS: Final = 60.0
USER: Final = "postgres"
_HOMES: Final = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
BIN: Final = _HOMES[-1].parent if _HOMES else None


def _why_not() -> str:
    if BIN is None:
        return "no PostgreSQL server in /usr/lib/postgresql"
    if os.getuid() == 0:
        try:
            pwd.getpwnam(USER)
        except KeyError:
            return "PostgreSQL refuses root, and there is no user postgres"
    return ""


WHY_NOT: Final = _why_not()
_USER: Final = USER if os.getuid() == 0 else None


class PostgresProcess:
    """One server in a directory of its own.  Settings are the server's own, as ``postgresql.conf`` has them."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.data = home / "data"
        self.home = home
        self.port = free_port()
        self.password = ""
        self._settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(home), **settings}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    def initialise(self, *words: str) -> "PostgresProcess":
        self._run("initdb", "-D", str(self.data), "-U", USER, "--no-sync", *(words or ("-A", "trust")))
        return self

    def start(self) -> "PostgresProcess":
        """Start, and wait until it takes queries (a standby: reads)."""
        assert BIN is not None
        words = [str(BIN / "postgres"), "-D", str(self.data), "-p", str(self.port)]
        for name, value in self._settings.items():
            words += ["-c", f"{name}={value}"]
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=_USER, cwd="/"
            )
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self._process.poll() is None, (self.home / "log").read_text()
            assert time.monotonic() < until, f"it does not answer; see {self.home / 'log'}"
            time.sleep(0.02)
        return self

    def set(self, **settings: str) -> None:
        """Take other settings from the next start on."""
        self._settings |= settings

    def kill(self) -> None:
        """End all of it at once, as a power cut would."""
        if self._process is None:
            return
        pids = self._pids()
        for pid in pids:
            _signal(pid, signal.SIGSTOP)  # so that the first to die alarms none of the others
        for pid in pids:
            _signal(pid, signal.SIGKILL)
        self._process.wait(timeout=START_SECONDS)
        self._process = None
        until = time.monotonic() + START_SECONDS
        while any(Path(f"/proc/{pid}").exists() and not _is_zombie(pid) for pid in pids):
            assert time.monotonic() < until
            time.sleep(0.01)

    def stop(self) -> None:
        """Ask it to leave; sessions are ended."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=START_SECONDS)
            self._process = None

    def pause(self) -> None:
        """Stop every process of it in its tracks."""
        for pid in self._pids():
            _signal(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in self._pids():
            _signal(pid, signal.SIGCONT)

    def promote(self) -> None:
        self._run("pg_ctl", "promote", "-w", "-D", str(self.data))

    def copy_of_data(self, name: str) -> Path:
        """Copy the data directory, as a backup of a stopped server does."""
        copy = self.home / name
        shutil.copytree(self.data, copy, symlinks=True)
        give(copy)
        return copy

    def put_back(self, copy: Path) -> None:
        """Have an older copy for the data directory."""
        shutil.rmtree(self.data)
        copy.rename(self.data)

    def sql(self, statement: str) -> str:
        """Run one statement as an operator would."""
        where = f"host=127.0.0.1 port={self.port} user={USER} dbname=postgres password='{self.password}'"
        return self._run("psql", "-d", where, "-XAtq", "-c", statement).strip()

    def base_backup_to(self, other: "PostgresProcess") -> None:
        """Make ``other`` a streaming standby of this one."""
        self._run("pg_basebackup", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-D", str(other.data), "-R",
                  "-X", "stream", "-c", "fast", "--no-sync")  # fmt: skip

    def _answers(self) -> bool:
        try:
            return self.sql("SELECT 1") == "1"
        except subprocess.CalledProcessError:
            return False

    def _pids(self) -> list[int]:
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    @staticmethod
    def _run(program: str, *words: str) -> str:
        assert BIN is not None
        done = subprocess.run(
            [str(BIN / program), *words], capture_output=True, text=True, check=True, timeout=60, user=_USER, cwd="/"
        )
        return done.stdout


def give(folder: Path) -> None:
    """Make everything in ``folder`` the lent user's."""
    if os.getuid() == 0:
        for path in [folder, *folder.rglob("*")]:
            shutil.chown(path, USER)


def _signal(pid: int, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, how)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@contextmanager
def postgres(**settings: str) -> Iterator[PostgresProcess]:
    """Run a server with a fresh data directory for the length of a block."""
    with home() as folder:
        server = PostgresProcess(folder, **settings)
        try:
            yield server.initialise().start()
        finally:
            server.kill()


@contextmanager
def standby_of(primary: PostgresProcess) -> Iterator[PostgresProcess]:
    """Run a streaming standby for the length of a block."""
    with home() as folder:
        server = PostgresProcess(folder)
        primary.base_backup_to(server)
        try:
            yield server.start()
        finally:
            server.kill()


@contextmanager
def home() -> Iterator[Path]:
    """Have a directory that the server's user can reach and owns."""
    with tempfile.TemporaryDirectory(prefix="ott-postgres-") as folder:
        give(Path(folder))
        yield Path(folder)
