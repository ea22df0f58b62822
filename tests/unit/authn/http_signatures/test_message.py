"""Component values are those of RFC 9421 §2; a request has none where a value could mean two things."""

from typing import Any

import pytest

from ott_extauthz.authn.http_signatures.message import MAX_DICTIONARY_CHARACTERS
from ott_extauthz.authn.http_signatures.query import MAX_PARAMETERS
from ott_extauthz.model.message_component import component_from
from tests.fakes.signed_requests import request

DICT = {"example-dict": "  a=1,    b=2;x=1;y=2,   c=(a   b   c), d"}


def value(component: str, target: str = "/v1/pay?id=7", **changes: Any) -> str | None:
    return request(target, **changes).value(component_from(component))


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        ("@method", "POST"),
        ("@target-uri", "https://www.example.com/path?param=value"),
        ("@authority", "www.example.com"),
        ("@scheme", "https"),
        ("@request-target", "/path?param=value"),
        ("@path", "/path"),
        ("@query", "?param=value"),
        ('"@query-param";name="param"', "value"),
    ],
)
def test_derived_components(component: str, expected: str) -> None:
    found = value(component, "/path?param=value", authority="www.example.com", scheme="HTTPS")
    assert found == expected


def test_a_query_that_is_absent_or_empty_is_a_question_mark() -> None:
    assert value("@query", "/path") == "?"
    assert value("@query", "/path?") == "?"
    assert value("@query", "/path??x") == "??x"


def test_percent_forms_count_as_they_stand() -> None:
    assert value("@path", "/%7Euser/%2f") == "/%7Euser/%2f"
    assert value("@query", "/?q=bat%2Dman") == "?q=bat%2Dman"


def test_options_for_the_whole_server_has_no_path() -> None:
    assert value("@request-target", "*") == "*"
    assert value("@target-uri", "*") == "https://pay.example"
    assert value("@path", "*") is None


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("Leading and trailing whitespace.",), "Leading and trailing whitespace."),
        (("  x\t",), "x"),
        (("max-age=60", "   must-revalidate"), "max-age=60, must-revalidate"),
        (("a\tb",), "a\tb"),
        (("",), ""),
        (("", ""), ", "),
    ],
)
def test_lines_are_trimmed_and_joined(lines: tuple[str, ...], expected: str) -> None:
    assert value("x", headers={"x": lines}) == expected


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        ("example-dict", "a=1,    b=2;x=1;y=2,   c=(a   b   c), d"),
        ('"example-dict";key="a"', "1"),
        ('"example-dict";key="d"', "?1"),
        ('"example-dict";key="b"', "2;x=1;y=2"),
        ('"example-dict";key="c"', "(a b c)"),
        ('"example-dict";sf;key="c"', "(a b c)"),
        ('"example-dict";key="z"', None),
        ('"example-dict";key=""', None),
    ],
)
def test_members_of_a_dictionary(component: str, expected: str | None) -> None:
    assert request(headers=DICT).value(component_from(component)) == expected


def test_a_dictionary_on_several_lines_is_one() -> None:
    found = value('"priority";sf', headers={"priority": ("u=1", "   i")})
    assert found == "u=1, i"


@pytest.mark.parametrize("field", ["a=1, a=2", "a=1;x=1;x=2", "a=", "a=\xff", ", ", "", "a=99999999999999999", "a b"])
def test_what_is_no_dictionary_or_has_a_member_twice_has_no_member(field: str) -> None:
    assert value('"priority";key="a"', headers={"priority": (field,)}) is None
    assert value('"priority";sf', headers={"priority": (field,)}) is None


def test_a_huge_dictionary_is_left_unread() -> None:
    filler = "x" * MAX_DICTIONARY_CHARACTERS
    assert value('"priority";key="a"', headers={"priority": (f"a=1, b={filler}",)}) is None


def test_bytes_keep_lines_apart_that_a_comma_would_join() -> None:
    two = value('"x";bs', headers={"x": ("value, with, lots", "of, commas")})
    one = value('"x";bs', headers={"x": ("value, with, lots, of, commas",)})
    assert two == ":dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:"
    assert one == ":dmFsdWUsIHdpdGgsIGxvdHMsIG9mLCBjb21tYXM=:"


@pytest.mark.parametrize("component", ["x", '"x";bs', '"x";key="a"', "host", "cookie"])
def test_a_header_that_is_not_there_has_no_value(component: str) -> None:
    assert value(component) is None


@pytest.mark.parametrize("bad", ["a\nb", "a\r", "\x00", "\x7f", "\x85", "é"])
def test_a_line_break_in_what_a_value_is_made_of_leaves_none(bad: str) -> None:
    assert value("x", headers={"x": (f"a{bad}b",)}) is None
    assert value("@authority", authority=bad) is None
    assert value("@method", method=bad) is None
    assert value("@path", f"/{bad}") is None
    assert value("@query", f"/?{bad}") is None


@pytest.mark.parametrize(
    ("query", "name", "expected"),
    [
        ("param=value&foo=bar&baz=batman&qux=", "baz", "batman"),
        ("param=value&foo=bar&baz=batman&qux=", "qux", ""),
        ("param=value&foo", "foo", ""),
        ("var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace", "var",
         "this%20is%20a%20big%0Amultiline%20value"),
        ("bar=with+plus+whitespace", "bar", "with%20plus%20whitespace"),
        ("fa%C3%A7ade%22%3A%20=something", "fa%C3%A7ade%22%3A%20", "something"),
        ("a=~%7e*", "a", "%7E%7E*"),
        ("a=b=c", "a", "b%3Dc"),
        ("a=1&a=1", "a", None),
        ("a=1&%61=2", "a", None),
        ("a=1&b=2", "c", None),
        ("a=%ff", "a", None),
        ("a=%ff&b=1", "b", "1"),
        ("a=1&a=%ff", "a", None),
        ("a=1", "%ff", None),
        ("", "", None),
        ("a=%4", "a", "%254"),
        ("a=1;b=2", "b", None),
    ],
)  # fmt: skip
def test_a_parameter_of_the_query(query: str, name: str, expected: str | None) -> None:
    assert value(f'"@query-param";name="{name}"', f"/?{query}") == expected


def test_a_query_of_very_many_parameters_is_not_taken_apart() -> None:
    filler = "&".join(f"p{n}" for n in range(MAX_PARAMETERS - 1))
    assert value('"@query-param";name="a"', f"/?a=1&{filler}") == "1"
    assert value('"@query-param";name="a"', f"/?a=1&{filler}&b") is None
