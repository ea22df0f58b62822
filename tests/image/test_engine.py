"""An engine that is missing or broken is named before anything is built, with what works without one."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.image.engine import BUILD, QUESTIONS, NoEngineError, ask_here, build_command
from tests.image.sbom import ROOT


def only(working: str) -> tuple[str, ...]:
    return build_command(lambda question: "" if question[0] == working else "not installed")


@pytest.mark.parametrize("engine", QUESTIONS)
def test_the_engine_that_works_builds(engine: str) -> None:
    assert only(engine) == BUILD[engine]
    assert BUILD[engine][0] == engine


def test_a_dead_daemon_does_not_hide_the_engine_beside_it() -> None:
    def ask(question: Sequence[str]) -> str:
        return "Is the docker daemon running?" if question[0] == "docker" else ""

    assert build_command(ask) == BUILD["podman"]


def test_without_any_the_reason_of_each_is_told_and_the_dry_run() -> None:
    with pytest.raises(NoEngineError) as told:
        build_command(lambda question: f"{question[0]} is ill")
    assert all(f"  {engine}: {engine} is ill\n" in str(told.value) for engine in QUESTIONS)
    assert "make image-dry-run needs none" in str(told.value)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (
            "#!/bin/sh\necho about >&2\necho 'Is the docker daemon running?' >&2\nexit 1\n",
            "Is the docker daemon running?",
        ),
        ("#!/bin/sh\nexit 7\n", "ends with 7"),
        ("#!/no/such/shell\n", "not installed"),
        ("#!/bin/sh\necho 27.0\n", ""),
    ],
    ids=["no-daemon", "says-nothing", "no-shell", "works"],
)
def test_what_an_engine_says_is_its_last_line(script: str, why: str, tmp_path: Path) -> None:
    engine = tmp_path / "docker"
    engine.write_text(script)
    engine.chmod(0o755)
    assert ask_here([str(engine)]) == why


def test_a_file_that_is_no_program_is_none(tmp_path: Path) -> None:
    (tmp_path / "docker").write_text("")
    assert ask_here([str(tmp_path / "docker")]) == "does not start: Permission denied"


def test_make_image_asks_before_it_builds(tmp_path: Path) -> None:
    """The very line of the Makefile, on a machine with nothing but a docker without its daemon."""
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho 'Is the docker daemon running?' >&2\nexit 1\n")
    docker.chmod(0o755)
    (line,) = [line for line in (ROOT / "Makefile").read_text().splitlines() if "tests.image engine" in line]
    recipe = (
        line.strip().removeprefix("@").removesuffix("\\").replace("$$", "$").replace("$(BIN)/python", sys.executable)
    )
    words = ["/bin/sh", "-c", f"{recipe} echo builds"]
    done = subprocess.run(words, cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "docker: Is the docker daemon running?" in done.stderr
    assert "podman: not installed" in done.stderr
    assert "make image-dry-run" in done.stderr
