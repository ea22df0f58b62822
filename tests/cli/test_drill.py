"""The command without its stage; on the stage: tests/e2e/test_drills.py."""

import json

import pytest
from typer.testing import CliRunner, Result

from ott_extauthz.cli import app
from ott_extauthz.drills.catalogue import DRILLS


def _ran(*words: str) -> Result:
    return CliRunner().invoke(app, ["drill", *words])


def test_the_list_names_every_drill() -> None:
    done = _ran("--list")
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.output.splitlines()] == [drill.name for drill in DRILLS]


def test_the_list_for_scripts_says_where_to_look() -> None:
    done = _ran("--list", "--json", "store")
    (store,) = json.loads(done.output)
    assert store["name"] == "store"
    assert store["look"]["metric"].startswith("ott_")


def test_an_unknown_drill_is_a_mistake_in_usage() -> None:
    done = _ran("stroe")
    assert done.exit_code == 2
    assert "no drill stroe" in done.output


def test_without_an_envoy_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTT_ENVOY", "/nowhere/envoy")
    done = _ran("expired")
    assert done.exit_code == 2
    assert "make drill" in done.output
