"""Foreign OAuth clients, as programs that run in Node, against our issuer over real TLS."""

import asyncio
import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.conftest import envoy  # noqa: F401 - a fixture
from tests.fakes.certificates import Authority, Leaf
from tests.fakes.clock import SkewedClock
from tests.fakes.issuing import SetClock
from tests.issuer_bank import CLIENTS, Bank

HERE: Final = Path(__file__).parent
NEWEST_THAT_IS_TOO_OLD: Final = (20, 18, 0)  # the packages ask for 20.18.1
HEAD_START_MS: Final = 60_000
ANSWER_WITHIN_SECONDS: Final = 60

WALLET: Final = """
  - client_id: wallet
    authentication: tls_client_auth
    certificate: {dns: wallet.bank.example}
    introspects: [wallet.api]
"""


@pytest.fixture(scope="session")
def node() -> str:
    """Return Node's path; CI may not go without it."""
    missing = _missing()
    if missing and os.environ.get("CI"):
        pytest.fail(f"CI runs the foreign clients: {missing}")
    if missing:
        pytest.skip(missing)
    return str(shutil.which("node"))


def _missing() -> str | None:
    path = shutil.which("node")
    if path is None:
        return "node is not installed"
    version = subprocess.run([path, "--version"], check=True, capture_output=True, text=True, timeout=30).stdout
    if tuple(map(int, re.findall(r"\d+", version))) <= NEWEST_THAT_IS_TOO_OLD:
        return f"node {version.strip()} is too old"
    return None if (HERE / "node_modules" / "oauth4webapi").exists() else "no packages here: `make test` installs them"


class RealClock(SetClock):
    """The machine's clock, for programs that look at it; behind it until told otherwise.

    The issuer is started a minute ago, so that its used-list vouches for what is made now.
    """

    def __init__(self) -> None:
        self._clock = SkewedClock(-HEAD_START_MS)
        super().__init__(self._clock.now_ms())

    def catch_up(self) -> None:
        self._clock.offset_ms = 0

    def now_ms(self) -> int:
        return self._clock.now_ms()


@dataclass(frozen=True)
class Answered:
    """What a client made of its job, and the requests that it made."""

    result: Any
    error: dict[str, Any] | None
    seen: list[dict[str, Any]]

    @property
    def statuses(self) -> list[int]:
        """The answers of the endpoint proper, without those of discovery."""
        return [request["status"] for request in self.seen if not request["path"].startswith("/.well-known")]


@dataclass(frozen=True)
class Client:
    """A library at work in Node, and the issuer it talks to."""

    program: asyncio.subprocess.Process
    bank: Bank

    async def does(self, flow: str, leaf: Leaf | None, **job: Any) -> Answered:
        """Have it done; the client shows ``leaf``."""
        tls = {"port": self.bank.port, "ca": self.bank.authority.pem.decode()}
        if leaf is not None:
            tls |= {"cert": leaf.pem.decode(), "key": leaf.key_pem.decode()}
        asked = {"flow": flow, "issuer": self.bank.url, "client_id": "rgs", "tls": tls} | job
        assert self.program.stdin is not None
        assert self.program.stdout is not None
        self.program.stdin.write(json.dumps(asked).encode() + b"\n")
        line = await asyncio.wait_for(self.program.stdout.readline(), ANSWER_WITHIN_SECONDS)
        told = json.loads(line)
        return Answered(told.get("result"), told.get("error"), told["seen"])

    async def gets(self, flow: str, leaf: Leaf | None, **job: Any) -> Any:
        """Have it done, and done well."""
        answer = await self.does(flow, leaf, **job)
        assert answer.error is None, answer
        return answer.result


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def rgs(authority: Authority) -> Leaf:
    return authority.leaf("rgs", uris=("spiffe://bank.example/rgs",))


@pytest.fixture(scope="module")
def wallet(authority: Authority) -> Leaf:
    return authority.leaf("wallet", dns=("wallet.bank.example",))


@pytest.fixture
async def bank(tmp_path: Path, authority: Authority) -> AsyncIterator[Bank]:
    """An issuer under its own name, by the real time, that has been running for a minute."""
    clock = RealClock()
    bank = Bank(tmp_path, authority, clock=clock).prepare()
    (tmp_path / "clients.yaml").write_text(CLIENTS.rstrip() + WALLET)
    authority.leaf("issuer", dns=("issuer.bank.example",), ips=("127.0.0.1",)).write(tmp_path, "server")
    async with bank.open():
        clock.catch_up()
        yield bank


@asynccontextmanager
async def running(node: str, script: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a script of this folder in Node; ended with the block, by its input's end or else by its id."""
    program = await asyncio.create_subprocess_exec(
        *(node, "--throw-deprecation", str(HERE / script)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    try:
        yield program
    finally:
        assert program.stdin is not None
        program.stdin.close()
        try:
            await asyncio.wait_for(program.wait(), 10)
        except TimeoutError:
            program.kill()
            await program.wait()


@pytest.fixture(params=["oauth4webapi.mjs", "openid-client.mjs"])
async def client(request: pytest.FixtureRequest, node: str, bank: Bank) -> AsyncIterator[Client]:
    async with running(node, request.param) as program:
        yield Client(program, bank)


@pytest.fixture
async def oauth4webapi(node: str, bank: Bank) -> AsyncIterator[Client]:
    async with running(node, "oauth4webapi.mjs") as program:
        yield Client(program, bank)
