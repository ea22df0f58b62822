"""Real programs for the tests: started, asked, ended one by one; their logs are kept for the failure message."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self
from urllib.error import URLError

from ott_extauthz.demo.programs import environment

START_WITHIN = 60.0
STOP_WITHIN = 15.0
SELF = (sys.executable, "-m", "ott_extauthz")


def wait_until(holds: Callable[[], bool], what: Callable[[], str], within: float = START_WITHIN) -> None:
    """Ask again and again; on timeout fail with what is known."""
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:.0f} s: {what()}")
        time.sleep(0.02)


def fetched(url: str, headers: Mapping[str, str] = MappingProxyType({})) -> str:
    """GET a loopback URL."""
    asked = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - loopback, built by the tests
    with urllib.request.urlopen(asked, timeout=5) as response:  # noqa: S310 - the same
        text: str = response.read().decode()
    return text


def answers(url: str) -> bool:
    """Whether a loopback URL says 200."""
    try:
        fetched(url)
    except (URLError, OSError):
        return False
    return True


class Server:
    """One program in the background."""

    def __init__(self, name: str, argv: Iterable[str | Path], folder: Path) -> None:
        self.log = folder / f"{name}.log"
        measured = {key: value for key, value in os.environ.items() if key.startswith("COVERAGE")}
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [str(word) for word in argv],
                cwd=folder,
                env=environment() | measured,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Ask it to end, insist after a while."""
        self.process.terminate()
        try:
            self.process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it as the kernel would, without a goodbye."""
        self.process.kill()
        self.process.wait(STOP_WITHIN)

    def told(self) -> str:
        """Its exit code, if it has one, and the end of its log."""
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-3000:]
        return f"{self.log.name}: exit code {self.process.poll()}; its log ends:\n{tail}"


@dataclass(frozen=True, slots=True)
class CheckServer:
    """Where one Check server listens and how it is configured."""

    name: str
    addresses: tuple[str, ...]
    admin: int
    config: Path

    def start(self) -> Server:
        """Start it as an operator does: through the command line."""
        return Server(self.name, [*SELF, "serve", "-c", self.config], self.config.parent)

    def is_ready(self) -> bool:
        """Whether it says so itself."""
        return answers(f"http://127.0.0.1:{self.admin}/readyz")

    def readiness(self) -> str:
        """What it says of itself and of what it depends on."""
        return fetched(f"http://127.0.0.1:{self.admin}/readyz?verbose")

    def metrics(self, *, openmetrics: bool = False) -> str:
        """Its Prometheus text, or what it says to a Prometheus that asks for OpenMetrics."""
        accept = {"accept": "application/openmetrics-text;version=1.0.0"} if openmetrics else {}
        return fetched(f"http://127.0.0.1:{self.admin}/metrics", accept)
