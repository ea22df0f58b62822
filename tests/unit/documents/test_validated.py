"""Misfits are shown where they stand, all at once, with a suggestion for a near miss."""

from typing import Any

import pytest

from ott_extauthz.documents.located import read_yaml
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.documents.validated import Duration, Model, validated


class Inner(Model):
    check: str | list[str]
    wait: Duration = 500


class Outer(Model):
    listen: Inner
    store: str = "memory://"


def problems(text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        validated(read_yaml(text, "f.yaml"), Outer)
    return [str(problem) for problem in caught.value.problems]


def test_every_misfit_is_reported_at_its_place() -> None:
    assert problems("listen: {check: 3, wiat: 5s, wait: 5}\nstor: x\n") == [
        "f.yaml:1:17: listen.check: Input should be a valid list",
        "f.yaml:1:17: listen.check: Input should be a valid string",
        "f.yaml:1:26: listen.wiat: unknown key; did you mean 'wait'?",
        "f.yaml:1:36: listen.wait: a duration is a number with a unit: 500ms, 2s, 5m, 1h",
        "f.yaml:2:7: stor: unknown key; did you mean 'store'?",
    ]


def test_a_missing_field_is_placed_at_its_parent() -> None:
    assert problems("listen: {}\n") == ["f.yaml:1:9: listen.check: required"]
    assert problems("store: x\n") == ["f.yaml:1:1: listen: required"]
    assert problems("") == ["f.yaml: must be a mapping"]


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("500ms", 500), ("2s", 2000), ("1.5s", 1500), ("5m", 300_000), ("1h", 3_600_000), ("1d", 86_400_000)],
)
def test_durations_carry_their_unit(text: str, milliseconds: int) -> None:
    assert validated(read_yaml(f"listen: {{check: a, wait: {text}}}", "f"), Outer).listen.wait == milliseconds


@pytest.mark.parametrize("text", ["5", "-1s", "1w", "s", '""', "1e3s", "null", "[1s]", "9" * 400 + "s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    assert problems(f"listen: {{check: a, wait: {text}}}")


def test_values_are_not_shown_in_problems() -> None:
    assert "hunter2" not in "".join(problems("listen: {check: {password: hunter2}}"))


def test_a_storm_of_mistakes_makes_the_schema_once_and_only_for_an_unknown_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes 0.2 s for a policy: whoever can have bad files reloaded could have a server do nothing else."""

    class Busy(Model):
        store: str

    made: list[Any] = []
    schema = Busy.model_json_schema()

    def make() -> dict[str, Any]:
        made.append(schema)
        return schema

    monkeypatch.setattr(Busy, "model_json_schema", make)
    for text, expected in (("store: 3\n", 0), ("stor: x\n", 1), ("stor: y\n", 1)):
        with pytest.raises(DocumentError):
            validated(read_yaml(text, "f.yaml"), Busy)
        assert len(made) == expected
