"""The examples as their readers have them: copies that may be changed, and the command line to judge them by."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ott_extauthz.cli import app

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("bank", "igaming", "shop")


@dataclass(frozen=True, slots=True)
class Example:
    """A copy of one example."""

    path: Path

    def change(self, file: str, old: str, new: str) -> None:
        """Replace a text that stands exactly once."""
        text = (self.path / file).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{file} has {text.count(old)} times: {old}"
        (self.path / file).write_text(text.replace(old, new), encoding="utf-8")

    def failing(self) -> list[str]:
        """Return the names of the cases that come out otherwise than expected, as `policy test --json` tells."""
        done = CliRunner().invoke(app, ["policy", "test", str(self.path / "cases.yaml"), "--json"])
        assert done.exit_code in (0, 1), done.output
        (found,) = json.loads(done.stdout)
        return [case["name"] for case in found["cases"] if not case["passed"]]


@pytest.fixture
def copied(tmp_path: Path, request: pytest.FixtureRequest) -> Example:
    """The example that the test's parameter names."""
    name = request.param
    assert isinstance(name, str)
    return Example(Path(shutil.copytree(EXAMPLES / name, tmp_path / name)))
