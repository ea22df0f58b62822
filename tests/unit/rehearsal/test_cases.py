"""Which mistakes in a file of cases are told, and where?"""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.rehearsal.cases import suite_from

CASE = "policy: p.yaml\ncases:\n  - name: it\n    request: {host: a}\n"


def problems(text: str) -> str:
    with pytest.raises(DocumentError) as caught:
        suite_from(text, "cases.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("    expect: {}\n", "a case that expects nothing cannot fail"),
        ("    expect: {headers: {a: b}}\n", "a case that expects nothing cannot fail"),
        ("    expect: {reason: token_replaid}\n", "did you mean 'token_replayed'?"),
        ("    expect: {code: OK, reason: token_expired}\n", "an allow has no reason"),
        ("    expect: {code: Allowed}\n", "no such code"),
        ("    expect: {code: OK, step: spent}\n", "did you mean 'spend'?"),
        ("    expct: {code: OK}\n", "did you mean 'expect'?"),
        ("    expect: {code: OK}\n    at: yesterday\n", "cases[0].at: an instant is written"),
        ("    expect: {code: OK}\n    at: 2026-01-01T12:00:00\n", "names its zone"),
        ("    expect: {code: OK}\n    request: {host: a, body: x, json: {}}\n", "this key stands twice"),
        ("    expect: {code: OK}\n    token: nothing\n", "cases[0].token"),
        ("    expect: {code: OK}\n    store: broken\n", "cases[0].store"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, told: str) -> None:
    found = problems(CASE + text)
    assert told in found
    assert found.startswith("cases.yaml:")


def test_two_bodies_are_one_too_many() -> None:
    assert "either body or json" in problems(
        "policy: p.yaml\ncases: [{name: it, request: {host: a, body: x, json: {}}, expect: {code: OK}}]"
    )


def test_all_mistakes_are_told_at_once() -> None:
    found = problems("policy: p.yaml\ncases:\n  - {name: a, request: {}, expect: {}}\n  - {name: b, reqest: {}}\n")
    assert len(found.splitlines()) >= 4


def test_defaults_fill_in_what_a_case_leaves_out_and_no_more() -> None:
    suite, _ = suite_from(
        "policy: p.yaml\ndefaults:\n"
        "  request: {host: a, headers: {x: '1', y: '2'}}\n  token: {claims: {sub: s, aud: a}}\n"
        "cases:\n"
        "  - {name: one, request: {headers: {y: '3'}}, token: {claims: {aud: b}}, expect: {code: OK}}\n"
        "  - {name: two, token: none, expect: {code: OK}}\n",
        "cases.yaml",
    )
    one, two = suite.cases
    assert (one.request.host, one.request.headers) == ("a", {"x": "1", "y": "3"})
    assert one.token != "none"
    assert one.token.claims == {"sub": "s", "aud": "b"}
    assert two.token == "none"


@settings(deadline=None)
@given(st.text(max_size=200))
def test_no_text_raises_anything_but_problems(text: str) -> None:
    with contextlib.suppress(DocumentError):
        suite_from(text, "cases.yaml")
