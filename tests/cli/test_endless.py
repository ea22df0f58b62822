"""Files without an end, and an output without room: one line and an exit code, neither a traceback nor all memory."""

import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ott_extauthz.cli import app, main
from ott_extauthz.cli.issuer import issue
from ott_extauthz.cli.serve import serve
from ott_extauthz.observe.standard_error import StandardError
from ott_extauthz.reload import bounded
from tests.cli.conftest import Folder

ENDLESS = "/dev/zero"
MINT = ("mint", "--audience", "a", "--client-id", "c")


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bound files by little: the bound itself is 64 MiB."""
    monkeypatch.setattr(bounded, "MOST_BYTES", 64 * 1024)


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize("option", ["--certificate", "--digest-file", "--authorization-details"])
def test_mint_reads_no_file_without_an_end(folder: Folder, option: str) -> None:
    folder.run("keys", "init")
    done = folder.run(*MINT, option, ENDLESS)
    assert (done.returncode, done.stderr) == (1, f"{ENDLESS}: File too large\n")


@pytest.mark.usefixtures("little")
def test_inspect_reads_no_input_without_an_end() -> None:
    done = CliRunner().invoke(app, ["inspect"], input=b"x" * (64 * 1024 + 1))
    assert (done.exit_code, done.stderr) == (1, "standard input: File too large\n")


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize(
    "arguments",
    [
        ("config", "check", "-c", ENDLESS),
        ("api-keys", "list", "--file", ENDLESS),
        ("policy", "check", ENDLESS),
        ("policy", "test", ENDLESS),
        ("policy", "explain", ENDLESS, "--policy", "policy.yaml"),
    ],
    ids=["configuration", "api keys", "policy", "cases", "request"],
)
def test_no_other_command_does(folder: Folder, arguments: tuple[str, ...]) -> None:
    done = folder.run(*arguments)
    assert done.returncode == 1
    assert "File too large" in done.stdout + done.stderr


@pytest.mark.parametrize("command", ["diff", "explain"])
def test_a_device_is_no_audit(folder: Folder, command: str) -> None:
    """It has no bound but its end: an audit may be larger than memory."""
    asked = {
        "diff": ("policy.yaml", "policy.yaml", "--recorded", ENDLESS),
        "explain": ("--decision", "0" * 32, "--audit", ENDLESS),
    }
    done = folder.run("policy", command, *asked[command])
    assert (done.returncode, done.stderr) == (1, f"{ENDLESS}: cannot be read: No such device\n")


@pytest.mark.parametrize("write_through", [False, True], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("inspect", "x")], ids=" ".join)
def test_a_full_disk_under_standard_output_is_one_line(
    arguments: tuple[str, ...],
    *,
    write_through: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        raw = full if write_through else io.BufferedWriter(full)
        stream = io.TextIOWrapper(raw, write_through=write_through)
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "argv", ["ott-extauthz", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        stream.flush()  # as the interpreter does when it ends
    assert (ended.value.code, capsys.readouterr().err) == (1, "cannot write: No space left on device\n")


def test_an_error_of_something_else_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ConnectionResetError(104, "reset")

    monkeypatch.setattr("ott_extauthz.cli.app", broken)
    with pytest.raises(ConnectionResetError):
        main()


@pytest.mark.parametrize("command", [serve, issue])
def test_what_does_not_start_ends_though_nobody_reads_why(
    command: Callable[[Path], None], folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that waits for a reader is never restarted."""
    monkeypatch.setattr(StandardError.leave, "__defaults__", (0.01,))
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while os.write(writing, bytes(65536)):
            pass
    os.set_blocking(writing, True)
    with os.fdopen(reading, "rb"), os.fdopen(writing, "w") as unread:
        monkeypatch.setattr(sys, "stderr", unread)
        with pytest.raises(typer.Exit) as ended:
            command(folder.path / "none.yaml")
    assert ended.value.exit_code == 1
