"""The command line as an operator uses it: real files, and real processes where they are the point."""

import asyncio
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ott_extauthz.cli import app

COMMAND = [sys.executable, "-m", "ott_extauthz"]
POLICY = """revision: "r1"
routes:
  - name: report
    match: {hosts: [wallet.api], methods: [GET], path: /report}
    credential: one_time_token
    audience: wallet.api
    bound_to: []
    unbound: accept the risk
  - name: health
    match: {methods: [GET], path: /healthz}
    credential: public
"""


class Folder:
    """A folder with a configuration in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def configure(self, text: str) -> None:
        (self.path / "ott.yaml").write_text(text)

    def run(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in this process: another's start takes a second, and shows its exit code and streams alone."""
        ours: dict[str, str | None] = {name: None for name in os.environ if name.startswith("OTT_")}
        with chdir(self.path):
            done = CliRunner().invoke(app, arguments, env=ours | environment, catch_exceptions=False)
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    def run_apart(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a command as an operator does, in a process of its own."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("OTT_")} | environment
        return subprocess.run(
            [*COMMAND, *arguments], cwd=self.path, capture_output=True, text=True, timeout=60, check=False, env=environ
        )

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        environ = {name: value for name, value in os.environ.items() if not name.startswith("OTT_")}
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.path,
            env=environ,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


def fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - loopback
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except (urllib.error.URLError, ConnectionError):
        return 0, ""


async def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for real processes; bounded."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not await asyncio.to_thread(condition):
        assert asyncio.get_running_loop().time() < deadline, "did not come about in time"
        await asyncio.sleep(0.05)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "policy.yaml").write_text(POLICY)
    found = Folder(tmp_path)
    found.configure(
        "trust: [{issuer: https://i, jwks: keys/jwks.json, algorithms: [EdDSA]}]\npolicy: policy.yaml\n"
        "issuer: {url: https://i}\ndrain: {wait: 0ms, grace: 1s}\n"
    )
    return found
