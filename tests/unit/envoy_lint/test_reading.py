"""Whatever an operator, or somebody who wants the linter dead, hands in: data with lines, or a clear error."""

import json

import pytest

from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.envoy_lint.reading import MAX_DEPTH, MAX_VALUES, documents_in

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


def test_several_documents_each_with_its_lines() -> None:
    one, two = documents_in("a: 1\n---\n# nothing\n---\nb:\n  - c: 2\n", "x.yaml")
    assert (one.tree, two.tree) == ({"a": 1}, {"b": [{"c": 2}]})
    assert str(two.place("b", 0, "c")) == "x.yaml:6 b[0].c"
    assert str(two.place("b", 0, "absent")) == "x.yaml:6 b[0].absent"
    assert dict(two.lines) == {(): 5, ("b",): 6, ("b", 0): 6, ("b", 0, "c"): 6}


def test_an_alias_is_what_its_anchor_is_and_stands_where_that_stands() -> None:
    (document,) = documents_in("a: &it\n  b: 1\nc: *it\n", "x.yaml")
    assert document.tree["c"] == {"b": 1}
    assert document.lines["c", "b"] == 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("False", False), ("~", None), ("", None), ("12", 12), ("-3", -3), ("0.25", 0.25),
        ("1e3", 1000.0), ("0.25s", "0.25s"), ('"true"', "true"), ("'12'", "12"), ("012", "012"), ("yes", "yes"),
        ("2026-01-01", "2026-01-01"), ("1" * 41, "1" * 41),
    ],
)  # fmt: skip
def test_scalars_are_what_they_look_like(text: str, value: object) -> None:
    (document,) = documents_in(f"a: {text}", "x.yaml")
    assert document.tree["a"] == value
    assert type(document.tree["a"]) is type(value)


def test_what_envoy_ignores_is_not_there() -> None:
    (document,) = documents_in("a: !ignore {b: &c 1}\nd: *c\n", "x.yaml")
    assert document.tree == {"d": 1}


def test_json_is_read_as_json_and_yaml_in_flow_style_as_yaml() -> None:
    assert documents_in('{"a": [1, "\\u0041"]}', "x")[0].tree == {"a": [1, "A"]}
    assert documents_in("{a: [1, b]}", "x")[0].tree == {"a": [1, "b"]}


def test_nothing_is_no_document() -> None:
    assert documents_in("", "x") == documents_in("# a comment\n---\n", "x") == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BOMB, f"more than {MAX_VALUES} values"),
        ("a: &a [*a]", "an alias of nothing, or of what it stands in"),
        ("a: *b", "alias"),
        ("a: &b 1\n---\na: *b", "alias"),
        ("a: " + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), f"nested deeper than {MAX_DEPTH}"),
        ("[" * 100_000, "nested deeper"),
        ('{"a":' * 100_000, "nested deeper"),
        ("a: 1\na: 2\n", "'a' stands twice"),
        ('{"a": 1, "a": 2}', "a key stands twice"),
        ("b: &b {c: 1}\na:\n  <<: *b\n", "a key must be a plain string"),
        ("? [a]\n: 1\n", "a key must be a plain string"),
        ("a: [1", "not YAML"),
        ("a: \x00", "not YAML"),
        ("a: !!python/object/apply:os.system [id]\nb: *c", "alias"),
    ],
    ids=range(14),
)  # fmt: skip
def test_what_cannot_be_read_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(DocumentError) as caught:
        documents_in(text, "x.yaml")
    assert str(caught.value).startswith("x.yaml")
    assert told in str(caught.value)


def test_the_place_of_a_mistake_is_its_line() -> None:
    with pytest.raises(DocumentError, match=r"x\.yaml:3:3: 'b' stands twice"):
        documents_in("a:\n  b: 1\n  b: 2\n", "x.yaml")


def test_a_tag_makes_nothing_but_plain_data() -> None:
    (document,) = documents_in("a: !!python/object/apply:os.system [id]\n", "x.yaml")
    assert json.dumps(document.tree) == '{"a": ["id"]}'
