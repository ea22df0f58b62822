import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from ott_extauthz.demo.programs import ProgramError
from ott_extauthz.drills.companion import TurnableClock, companion
from ott_extauthz.stores.keyring import init_keys
from tests.processes import free_port

POLICY = "revision: r\nroutes: [{name: all, match: {path: /healthz}, credential: public}]\n"


@pytest.fixture(autouse=True)
def _hangup() -> Iterator[None]:
    """A server that leaves has SIGHUP ignored; the tests after this one shall not."""
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    init_keys(tmp_path / "keys", now_ms=0)
    (tmp_path / "policy.yaml").write_text(POLICY)
    settings = {
        "listen": {"check": f"127.0.0.1:{free_port()}", "admin": f"127.0.0.1:{free_port()}"},
        "trust": [{"issuer": "https://issuer.demo", "jwks": "keys/jwks.json", "algorithms": ["EdDSA"]}],
        "policy": "policy.yaml",
        "drain": {"wait": "0ms", "grace": "0ms"},
    }
    path = tmp_path / "here.yaml"
    path.write_text(json.dumps(settings))
    return path


@pytest.fixture
def admin(config: Path) -> str:
    return str(json.loads(config.read_text())["listen"]["admin"])


def test_a_clock_can_be_turned_both_ways() -> None:
    clock = TurnableClock()
    right = clock.now_ms()
    clock.ahead_ms = -60_000
    assert clock.now_ms() < right - 50_000
    clock.ahead_ms = 60_000
    assert clock.now_ms() >= right + 60_000


async def test_it_serves_while_the_block_runs_and_logs_to_a_file_of_its_own(
    config: Path, admin: str, capfd: pytest.CaptureFixture[str]
) -> None:
    async with companion(config, TurnableClock()), aiohttp.ClientSession() as session:
        async with session.get(f"http://{admin}/readyz") as response:
            assert response.status == 200
        async with session.get(f"http://{admin}/metrics") as response:
            assert "ott_build_info" in await response.text()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(f"http://{admin}/readyz")
    assert config.with_suffix(".log").exists()
    assert capfd.readouterr().err == ""


async def test_one_that_does_not_come_up_is_told(config: Path, admin: str) -> None:
    host, _, port = admin.rpartition(":")
    with socket.create_server((host, int(port))), pytest.raises(ProgramError, match="here did not come up"):
        async with companion(config, TurnableClock()):
            pass
