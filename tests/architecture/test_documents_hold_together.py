"""A reader who follows a link, copies a block or types a command from the documents gets what they promise."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from ott_extauthz.authn.mandates import narrowing_from
from ott_extauthz.authn.partner_document import partner_entries
from ott_extauthz.cli import app
from ott_extauthz.documents.located import read_yaml
from ott_extauthz.issuer.clients import clients_from
from ott_extauthz.policy.document import policy_from
from ott_extauthz.policy.document.whole import PolicyDocument
from ott_extauthz.policy.expressions.condition import compiled
from ott_extauthz.policy.expressions.variables import VARIABLES
from ott_extauthz.rehearsal.cases import suite_from
from ott_extauthz.settings import Settings, load
from tests.architecture.documents import DOCS, DOCUMENTS, MANUAL, README, ROOT, anchors, blocks, commands, links

LINKS = [(document, target) for document in DOCUMENTS for target in links(document)]
YAML = [(document, text) for document in MANUAL for text in blocks(document, "yaml")]
COMMANDS = [(document, text) for document in DOCUMENTS for text in commands(document)]


def _named(pairs: list[tuple[Path, str]]) -> list[Any]:
    return [
        pytest.param(document, text, id=f"{document.relative_to(ROOT)}-{number}")
        for number, (document, text) in enumerate(pairs)
    ]


@pytest.mark.parametrize(("document", "target"), _named(LINKS))
def test_every_link_leads_somewhere(document: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    found = (document.parent / path).resolve() if path else document
    assert found.is_relative_to(ROOT), target
    assert found.exists(), target
    if anchor:
        assert anchor in anchors(found), target


def test_every_page_of_the_manual_can_be_reached_from_the_readme_or_the_manuals_own() -> None:
    indexes = (README, DOCS / "README.md")
    reached = {(page.parent / target.partition("#")[0]).resolve() for page in indexes for target in links(page)}
    assert {page for page in DOCS.glob("*.md") if not page.read_text().startswith("# Chaos")} <= {*reached, *indexes}


PATHS = [
    (page, path) for page in MANUAL for path in re.findall(r"`((?:tests|bench|examples)/[\w./-]+)`", page.read_text())
]
MODULES = [(page, name) for page in MANUAL for name in re.findall(r"python -m ([\w.]+)", page.read_text())]
TARGETS = [
    (page, name) for page in MANUAL for name in re.findall(r"(?:`|^\$ )make ([a-z-]+)", page.read_text(), re.MULTILINE)
]


@pytest.mark.parametrize(("document", "path"), _named(PATHS))
def test_every_test_and_bench_that_a_page_names_exists(document: Path, path: str) -> None:
    assert (ROOT / path).exists(), (document, path)


@pytest.mark.parametrize(("document", "module"), _named(MODULES))
def test_every_module_that_a_page_runs_exists(document: Path, module: str) -> None:
    path = ROOT.joinpath(*module.split("."))
    # What is no folder of ours is Python's own, like http.server.
    assert path.with_suffix(".py").exists() or (path / "__main__.py").exists() or not (ROOT / path.parts[-2]).exists()


@pytest.mark.parametrize(("document", "target"), _named(TARGETS))
def test_every_make_target_that_a_page_names_exists(document: Path, target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), (document, target)


@pytest.mark.parametrize(("document", "text"), _named(YAML))
def test_every_yaml_block_loads(document: Path, text: str, tmp_path: Path) -> None:
    keys = set(read_yaml(text, document.name).data)
    if "cases" in keys:
        suite, _ = suite_from(text, document.name)
        assert suite.cases
    elif keys == {"partners"}:
        assert partner_entries(text, document.name)
    elif keys == {"clients"}:
        clients_from(text, document.name)
    elif keys <= PolicyDocument.model_fields.keys():
        assert policy_from(text, document.name).warnings == ()
    else:
        assert keys <= Settings.model_fields.keys()
        (tmp_path / "ott.yaml").write_text(text)
        load(tmp_path / "ott.yaml", {})


def test_the_documents_show_every_kind_of_file() -> None:
    shown = {key for _, text in YAML for key in read_yaml(text, "").data}
    assert {"cases", "routes", "roles", "clients", "trust", "issuer", "store"} <= shown


def test_the_configuration_page_names_every_key() -> None:
    page = (DOCS / "configuration.md").read_text()
    assert [name for name in Settings.model_fields if not re.search(rf"^(?:# )?{name}:", page, re.MULTILINE)] == []


def test_every_mandate_shown_is_one() -> None:
    shown = [json.loads(text) for text in blocks(DOCS / "policy.md", "json")]
    assert shown
    for mandate in shown:
        found = narrowing_from({"authorization_details": [mandate]}, issued_at_ms=mandate["budget"]["since"] * 1000)
        assert found.restrictions == ()


@pytest.mark.parametrize("section", ["Dependencies", "Decisions"])
def test_nothing_is_argued_twice(section: str) -> None:
    text = README.read_text().split(f"## {section}\n")[1].split("\n## ")[0]
    firsts = [line.split(" | ")[0].strip("| ") for line in text.splitlines() if line.startswith("|")][2:]
    assert len(firsts) > 10
    assert len(set(firsts)) == len(firsts)


def _conditions() -> str:
    return (DOCS / "policy.md").read_text().split("## Conditions")[1].split("\n## ")[0]


def test_every_condition_shown_compiles() -> None:
    (shown,) = re.findall(r"```\n(.*?)```", _conditions(), re.DOTALL)
    for text in shown.splitlines():
        assert compiled(text).warnings == ()


def test_the_manual_names_every_variable_and_says_which_may_be_absent() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([^`]*)` \|$", _conditions(), re.MULTILINE)
    named = {f"{group}.{field.strip()}" for group, fields in rows for field in fields.split(",")}
    # A body that a condition names is whole, or the request was refused before (policy.holding).
    there = {f"{name}?" if each.is_optional and name != "request.json" else name for name, each in VARIABLES.items()}
    assert named == there


def _each(text: str) -> list[list[str]]:
    """Return the words of every command in ``policy check | test``, without a shell's comment."""
    first, *others = text.partition(" #")[0].split(" | ")
    group = first.split()[0]
    return [first.split(), *([group, *other.split()] for other in others)]


def _found(words: list[str]) -> tuple[tuple[str, ...], Any, list[str]]:
    """Return the command that the words name, by its path, and the words after it."""
    path: list[str] = []
    command: Any = typer.main.get_command(app)
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        assert words[0] in command.commands, words
        command = command.commands[words[0]]
        path.append(words[0])
        words = words[1:]
    return tuple(path), command, words


@pytest.mark.parametrize(("document", "text"), _named(COMMANDS))
def test_every_command_there_is(document: Path, text: str) -> None:
    assert document.exists()
    for words in _each(text):
        _, command, rest = _found(words)
        options = {name for parameter in command.params for name in parameter.opts}
        written = re.findall(r"(?:^|[\s\[])(--?[a-z][a-z-]*)", " ".join(rest))
        assert set(written) <= options, text


def _paths(command: Any, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    if not isinstance(command, TyperGroup):
        return {path}
    return set().union(*(_paths(each, (*path, name)) for name, each in command.commands.items()))


def test_every_command_stands_in_some_document() -> None:
    written = {_found(words)[0] for _, text in COMMANDS for words in _each(text)}
    there = _paths(typer.main.get_command(app))
    assert ("config", "check") in there
    assert there <= written


def test_the_readmes_first_steps_work_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in zip(("ott.yaml", "policy.yaml"), blocks(README, "yaml"), strict=True):
        Path(name).write_text(text)
    for words in ("keys init -c ott.yaml", "config check -c ott.yaml", "mint --audience wallet.api --client-id rgs"):
        result = CliRunner().invoke(app, words.split())
        assert result.exit_code == 0, result.output
