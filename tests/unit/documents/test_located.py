"""YAML as operators write it: plain values, places, and no surprises."""

import pytest

from ott_extauthz.documents.located import dotted, read_yaml
from ott_extauthz.documents.problems import DocumentError, Problem


def problems(text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        read_yaml(text, "f.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_plain_values_and_their_places() -> None:
    located = read_yaml('a: 1\nb:\n  - x: "2"\n    y: [true, null, ~, 1.5]\n', "f.yaml")
    assert located.data == {"a": 1, "b": [{"x": "2", "y": [True, None, None, 1.5]}]}
    assert located.places["b", 0, "y"] == (4, 8)
    assert str(located.problem(("b", 0, "z"), "missing")) == "f.yaml:3:5: b[0].z: missing"


@pytest.mark.parametrize(
    "text", ["NO", "yes", "on", "2026-11-21", "12:30:45", "0x10", "010", "1e3", ".5", "1_000", "9" * 25]
)
def test_yaml_1_1_surprises_stay_strings(text: str) -> None:
    """The Norway problem, dates, sexagesimal and octal numbers."""
    assert read_yaml(f"v: {text}", "f.yaml").data == {"v": text}


def test_every_mistake_is_reported_with_its_place() -> None:
    assert problems("a: 1\na: 2\nb: &x [1]\nc: *x\n? [k]\n: v\n<<: {d: 1}\n") == [
        "f.yaml:2:1: a: this key stands twice",
        "f.yaml:4:4: c: anchors and aliases are not supported; write the value out",
        "f.yaml:5:3: a key must be a plain string",
        "f.yaml:7:1: a key must be a plain string",
    ]


@pytest.mark.parametrize("text", ["[", "a: b: c", "a: 1\n--- \nb: 2\n", "\x00"])
def test_what_is_no_single_yaml_document_is_one_problem(text: str) -> None:
    assert problems(text)[0].startswith("f.yaml")


def test_a_tag_never_makes_an_object() -> None:
    assert read_yaml('a: !!python/object/apply:os.system ["id"]', "f.yaml").data == {"a": ["id"]}


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000, "{a: " * 100_000])
def test_deep_nesting_is_refused_before_it_ends_the_process(text: str) -> None:
    """libyaml's composer recurses in C: 100,000 brackets are a segmentation fault."""
    assert "nested deeper than 64" in problems(text)[0]


def test_an_alias_bomb_is_refused() -> None:
    bomb = "a: &a [x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
    )
    assert "anchors" in problems(bomb)[0]


def test_an_empty_document_is_null() -> None:
    assert read_yaml("", "f.yaml").data is None


def test_problems_sort_by_place_and_show_it() -> None:
    error = DocumentError([Problem("b", 0, 0, "", "two"), Problem("a", 3, 1, "x.y", "one")])
    assert str(error) == "a:3:1: x.y: one\nb: two"
    assert dotted(("routes", 2, "match")) == "routes[2].match"


def test_a_mistaken_key_hides_no_later_mistake_and_swallows_only_its_own_value() -> None:
    assert problems("? {a: [1, 2]}\n: {b: [3]}\nx: 1\nx: {y: [1]}\nz: &n [1]\nw: [*n]\n") == [
        "f.yaml:1:3: a key must be a plain string",
        "f.yaml:4:1: x: this key stands twice",
        "f.yaml:6:5: w[0]: anchors and aliases are not supported; write the value out",
    ]


def test_places_are_found_for_every_path_and_for_no_other() -> None:
    places = read_yaml("a: [x, {b: 1}]\n", "f.yaml").places
    assert dict(places) == {
        (): (1, 1), ("a",): (1, 4), ("a", 0): (1, 5), ("a", 1): (1, 8), ("a", 1, "b"): (1, 12)
    }  # fmt: skip
    for path in (("b",), ("a", 2), ("a", -1), ("a", "0"), ("a", 0, "x"), (0,)):
        assert path not in places
