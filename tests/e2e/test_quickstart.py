"""The quickstart works as it stands: its files, its commands, its answers; only its ports are other ones."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ott_extauthz.demo.ports import free_ports
from ott_extauthz.demo.programs import environment
from tests.architecture.documents import DOCS, ROOT, blocks

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.xdist_group("e2e-quickstart"),
    pytest.mark.skipif(
        any(shutil.which(name) is None for name in ("openssl", "curl", "bash")),
        reason="the page is for openssl, curl and a shell, which are not here",
    ),
]

PAGE = DOCS / "quickstart.md"
PORTS = ("9001", "9002", "8080", "8443", "9901")


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="ott-q-") as name:
        yield Path(name)


def _on_other_ports(text: str, ports: dict[str, str]) -> str:
    return re.sub(r"\b(?:{})\b".format("|".join(PORTS)), lambda found: ports[found[0]], text)


def _commands() -> list[str]:
    first, *others = blocks(PAGE, "console")
    assert "pip install ." in first  # the one block that a test cannot run: it is installed here already
    return [line.removeprefix("$ ") for block in others for line in block.splitlines()]


def _tools(folder: Path, envoy: Path) -> str:
    bin_ = folder / "bin"
    bin_.mkdir()
    (bin_ / "envoy").symlink_to(envoy)
    (bin_ / "ott-extauthz").symlink_to(Path(sys.executable).with_name("ott-extauthz"))
    return f"{bin_}:{os.environ['PATH']}"


def test_every_block_of_the_quickstart_works_and_ends_in_a_refused_replay(envoy: Path, folder: Path) -> None:
    ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
    home = folder / "bank"
    for name in ("tls", "www"):
        (home / name).mkdir(parents=True)
    shipped = (ROOT / "envoy" / "envoy.yaml").read_text(encoding="utf-8")
    files = dict(zip(("ott.yaml", "policy.yaml"), blocks(PAGE, "yaml"), strict=True)) | {"envoy.yaml": shipped}
    for name, text in files.items():
        (home / name).write_text(_on_other_ports(text, ports), encoding="utf-8")
    script = "set -e -o pipefail\n" + _on_other_ports("\n".join(_commands()), ports) + "\n"
    told, code = _ran(script, home, environment() | {"PATH": _tools(folder, envoy), "HOME": str(folder)})
    assert code == 0, told
    answers = re.findall(r"^(200|401) (.*)$", told, re.MULTILINE)
    assert [status for status, _ in answers] == ["401", "200", "401"], told
    assert "AUTH_FAILED" in answers[0][1]
    assert answers[1][1] == "paid"
    assert "TOKEN_REPLAYED" in answers[2][1]
    assert 'ott_denials_total{reason="token_replayed",route="report"} 1.0' in told


def _ran(script: str, home: Path, environ: dict[str, str]) -> tuple[str, int]:
    """Run the commands as a reader's shell does, and end afterwards what they left in the background."""
    log = home / "told.log"
    with log.open("wb") as output:
        shell = subprocess.Popen(
            ["bash", "-c", script], cwd=home, env=environ, stdout=output, stderr=output, start_new_session=True
        )
        try:
            code = shell.wait(90)
        finally:
            os.killpg(shell.pid, signal.SIGTERM)  # the session is ours: nobody else's process is in it
    return log.read_text(encoding="utf-8", errors="replace"), code
