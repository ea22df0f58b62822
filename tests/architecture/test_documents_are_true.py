"""What the README, the manual, the locks and the configurations say is what the code does."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from ott_extauthz.demo.steps import STEPS
from ott_extauthz.drills.catalogue import DRILLS
from ott_extauthz.model.reason import REASONS, Reason
from ott_extauthz.policy.document import policy_from
from ott_extauthz.settings import load
from ott_extauthz.wire.encode import IDENTITY_HEADERS
from tests.architecture.documents import DOCS, DOCUMENTS, OPERATIONS, README, ROOT, blocks
from tests.architecture.tables import PAGES, with_tables


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tables_are_the_codes_own(page: Path) -> None:
    text = page.read_text()
    assert with_tables(text, PAGES[page]) == text, "run: python -m tests.architecture.tables"


def test_no_other_document_has_tables_that_nobody_renews() -> None:
    assert {page for page in DOCUMENTS if "<!-- table:" in page.read_text()} == PAGES.keys()


def test_every_reason_has_a_meaning_and_a_refusing_status() -> None:
    assert set(REASONS) == set(Reason)
    assert all(400 <= meaning.status <= 599 for meaning in REASONS.values())


def _troubles() -> list[list[str]]:
    """The rows on the page for whoever looks for a cause: reason, cause, who mends, how, where to look."""
    lines = (DOCS / "troubleshooting.md").read_text().split("\n## Reasons\n")[1].splitlines()
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines if line.startswith("| `")]
    assert rows
    return rows


def test_the_troubleshooting_page_has_every_reason_once_and_no_other() -> None:
    named = [row[0].strip("`") for row in _troubles()]
    assert sorted(named) == sorted(Reason)


def test_every_reason_says_who_mends_it_how_and_where_to_look() -> None:
    for reason, *cells in _troubles():
        assert len(cells) == 4, reason
        assert all(cells), reason
        assert cells[1] in {"caller", "policy author", "platform", "issuer team", "us"}, reason


def test_the_drills_that_pages_name_exist() -> None:
    known = {drill.name for drill in DRILLS}
    for page in DOCS.glob("*.md"):
        assert set(re.findall(r"\bdrills? `([a-z-]+)`", page.read_text())) <= known, page.name


def test_the_drills_page_has_every_drill_with_its_metric_and_alerts_and_no_other() -> None:
    section = (DOCS / "drills.md").read_text().split("\n## The drills\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([a-z-]+)` \|(.*)\|$", section, re.MULTILINE)
    assert [name for name, _ in rows] == [drill.name for drill in DRILLS]
    for (_, row), drill in zip(rows, DRILLS, strict=True):
        assert f"`{drill.look.metric}`" in row, drill.name
        assert all(f"`{alert}`" in row for alert in drill.look.alerts), drill.name


def test_every_reason_is_given_somewhere() -> None:
    """A reason that nothing gives would be a promise in the manual that no code keeps."""
    sources = [path for path in (ROOT / "ott_extauthz").rglob("*.py") if path.name != "reason.py"]
    code = "".join(path.read_text() for path in sources)
    assert [reason for reason in Reason if f"Reason.{reason.name}" not in code] == []


def test_the_readmes_configuration_loads(tmp_path: Path) -> None:
    settings, policy = blocks(README, "yaml")
    (tmp_path / "ott.yaml").write_text(settings)
    assert load(tmp_path / "ott.yaml", {}).policy == [tmp_path / "policy.yaml"]
    assert len(policy_from(policy, "policy.yaml").table.routes) == 2


def test_the_manual_names_every_identity_header() -> None:
    assert all(header in OPERATIONS.read_text() for header in IDENTITY_HEADERS)


@pytest.mark.parametrize("lock", ["service", "dev", "build", "envoy", "chaos", "mutation"])
def test_locks_are_hashed_and_name_no_registry(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()
    assert "://" not in text
    assert "--index" not in text
    pins = re.findall(r"^[A-Za-z0-9._-]+(?:\[[a-z]+\])?==\S+", text, re.MULTILINE)
    assert pins
    assert text.count("--hash=sha256:") >= len(pins)


def test_nodes_lock_is_hashed_and_names_no_registry() -> None:
    packages = json.loads((ROOT / "tests" / "interop" / "package-lock.json").read_text())["packages"]
    wanted = json.loads((ROOT / "tests" / "interop" / "package.json").read_text())["dependencies"]
    assert packages.pop("")["dependencies"] == wanted
    assert wanted.keys() <= {name.rpartition("node_modules/")[2] for name in packages}
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name


def test_every_dependency_is_locked_and_argued() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.split(r"[\[><=~]", entry)[0] for entry in project["dependencies"]]
    lock = (ROOT / "requirements" / "service.lock").read_text().lower()
    section = README.read_text().split("## Dependencies")[1].split("## Decisions")[0]
    for name in names:
        assert f"\n{name.lower()}==" in "\n" + lock, name
        assert name in section, name


def test_the_tour_has_the_steps_it_promises() -> None:
    assert len(STEPS) >= 8


def test_the_rooms_stand_as_the_import_rules_have_them() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    rooms = [f"({layer})" if "|" in layer else layer for layer in contracts[0]["layers"] if layer != "__main__"]
    assert f"\n{' → '.join(rooms)}\n" in README.read_text()
