"""JSON pointers: the examples of RFC 6901 §5, and what is none."""

import pytest

from ott_extauthz.policy.pointer import MISSING, pointer_from

DOCUMENT = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
    "~1": 9,
    "null": None,
}


@pytest.mark.parametrize(
    ("text", "value"),
    [("", DOCUMENT), ("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1), ("/c%d", 2), ("/e^f", 3),
     ('/k"l', 6), ("/ ", 7), ("/m~0n", 8), ("/~01", 9), ("/null", None)],
)  # fmt: skip
def test_the_rfcs_examples(text: str, value: object) -> None:
    assert pointer_from(text).found_in(DOCUMENT) == value


@pytest.mark.parametrize(
    "text", ["/bar", "/foo/2", "/foo/-", "/foo/-1", "/foo/00", "/foo/01", "/foo/0/x", "/foo/\u0660", "/null/x", "//x"]
)
def test_what_is_not_there_is_missing(text: str) -> None:
    assert pointer_from(text).found_in(DOCUMENT) is MISSING


@pytest.mark.parametrize("twin", ["Amount", "AMOUNT", "amounT"])
def test_a_member_with_a_twin_in_other_letters_is_missing(twin: str) -> None:
    """Go's encoding/json would take the twin for the member."""
    assert pointer_from("/amount").found_in({"amount": 1, twin: 9000}) is MISSING
    assert pointer_from("/amount/value").found_in({"amount": {"value": 1}, twin: {"value": 9000}}) is MISSING
    assert pointer_from("/amount").found_in({twin: 9000}) is MISSING
    assert pointer_from("/amount").found_in({"amount": 1, "other": {twin: 9000}}) == 1


def test_a_twin_by_unicode_folding_is_a_twin() -> None:
    assert pointer_from("/stake").found_in({"stake": 1, "\u017fta\u212ae": 9000}) is MISSING


@pytest.mark.parametrize("text", ["/" + "a" * 255, "/a" * 16])
def test_the_longest_pointers(text: str) -> None:
    assert "/" + "/".join(pointer_from(text).steps) == text


@pytest.mark.parametrize("text", [None, 1, "amount", "#/amount", "/a~", "/a~2", "/a" * 17, "/" + "a" * 256])
def test_what_is_no_pointer_is_told(text: object) -> None:
    with pytest.raises(ValueError, match="JSON pointer"):
        pointer_from(text)
