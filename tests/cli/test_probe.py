"""The probe as health checks run it: its exit codes, and what it does not take for an address."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ott_extauthz.cli import app
from ott_extauthz.wire.probe import Seen, Tls


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["probe", *words])
    return result.exit_code, result.output


@pytest.mark.parametrize(
    "words",
    [
        ["localhost"],
        ["localhost:0"],
        ["localhost:65536"],
        ["localhost:9001/x"],
        ["xds:///a:1"],
        ["unix:relative"],
        ["unix://relative"],
        ["user@host:1"],
        ["http://user:secret@host:1/readyz"],
        ["http:///readyz"],
        ["http://[/readyz"],
        ["http://../readyz"],
        [f"http://{'x' * 64}/readyz"],
        ["host:1", "--service", "\udcff"],
        ["ftp://host:1/"],
        ["host:1", "--timeout", "1"],
        ["host:1", "--timeout", "2m"],
        ["host:1", "--timeout", "1ms"],
        ["host:1", "--ca", "/nowhere/ca.pem"],
        ["host:1", "--server-name", "x"],
        ["http://host:1/", "--refuses"],
        ["http://host:1/", "--service", "x"],
        [],
    ],
    ids=ascii,
)
def test_a_question_that_makes_no_sense_is_2(words: list[str]) -> None:
    assert run(*words)[0] == 2


def test_files_that_do_not_belong_together_are_2(tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    file.write_text("nothing")
    assert run("host:1", "--certificate", str(file))[0] == 2
    assert run("host:1", "--certificate", str(file), "--key", str(file))[0] == 2
    assert run("http://host:1/", "--ca", str(file))[0] == 2
    assert run("https://host:1/", "--ca", str(file))[0] == 2
    assert run("host:1", "--ca", str(file))[0] == 2


def test_nobody_there_is_1_and_says_so(free_port: int, tmp_path: Path) -> None:
    for address in (f"127.0.0.1:{free_port}", f"http://127.0.0.1:{free_port}/readyz", f"unix://{tmp_path}/no.sock"):
        code, output = run(address, "--timeout", "20s")
        assert code == 1
        assert output.startswith(f"{address}: ")
        assert output.count("\n") == 1


@pytest.mark.parametrize(("is_fine", "code"), [(True, 0), (False, 1)])
def test_the_answer_is_the_exit_code(monkeypatch: pytest.MonkeyPatch, *, is_fine: bool, code: int) -> None:
    asked = []

    async def seen(target: str, *, service: str, refuses: bool, tls: Tls | None, seconds: float) -> Seen:
        asked.append((target, service, refuses, tls, seconds))
        return Seen(is_fine, "as told")

    monkeypatch.setattr("ott_extauthz.cli.probe.seen_by_grpc", seen)
    words = ("[::1]:9001", "--refuses", "--service", "liveness", "--timeout", "250ms")
    assert run(*words) == (code, "[::1]:9001: as told\n")
    assert asked == [("dns:///[::1]:9001", "liveness", True, None, 0.25)]
