"""Are the examples true, as a user runs them?  Every case passes, nothing is warned of without a reason beside it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ott_extauthz.observe.audit import MEANINGS
from tests.examples.conftest import EXAMPLES, NAMES

ARGUED = {
    "bank": [],
    "igaming": [],
    "shop": [
        "public, also takes GET of routes[1] (catalogue-update)",
        "route wishlist is in shadow and enforces nothing",
    ],
}
"""The warnings that are meant; the policy says why beside the route."""

LEAST = 15


def environ() -> dict[str, str]:
    """Return an environment in which `ott-extauthz` is this one, and nothing configures it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTT_")}
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"}


def policy_command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "ott_extauthz", "policy", *arguments]
    return subprocess.run(
        command, cwd=EXAMPLES.parent, env=environ(), capture_output=True, text=True, timeout=60, check=False
    )


def policy_of(name: str) -> str:
    return next(f"examples/{name}/{found}" for found in ("policy", "policy.yaml") if (EXAMPLES / name / found).exists())


def test_every_folder_is_an_example() -> None:
    assert sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_case_passes(name: str) -> None:
    done = policy_command("test", f"examples/{name}/cases.yaml")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    summary = re.fullmatch(r"\S+: ([0-9]+) cases, 0 failed", done.stdout.splitlines()[-1])
    assert summary is not None
    assert int(summary[1]) >= LEAST


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_warned_of_that_is_not_argued(name: str) -> None:
    done = policy_command("check", policy_of(name))
    warnings = [line for line in done.stdout.splitlines() if line.startswith("warning:")]
    assert done.returncode == 0
    assert len(warnings) == len(ARGUED[name]), done.stdout
    assert all(any(argued in line for line in warnings) for argued in ARGUED[name])


def shown_by(name: str) -> list[tuple[str, str]]:
    """Return the commands of an example's README, each with the output that it shows."""
    text = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"```console\n(.*?)```", text, re.DOTALL))
    return re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", blocks, re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_shows_what_its_commands_print(name: str, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    found = shown_by(name)
    assert any(output for _, output in found)
    for command, output in found:
        done = subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, env=environ(), capture_output=True, text=True, timeout=60, check=False
        )
        parts = [part.strip("\n") for part in output.split("…\n")]
        pattern = "(?:.*\n)*".join(re.escape(f"{part}\n") if part else "" for part in parts)
        assert re.fullmatch(pattern, done.stdout), f"{command}\n{done.stdout}{done.stderr}"


def test_the_recorded_decisions_are_lines_of_the_audit() -> None:
    for file in EXAMPLES.glob("*/audit/*.jsonl"):
        for line in file.read_text(encoding="utf-8").splitlines():
            assert json.loads(line).keys() == MEANINGS.keys()
