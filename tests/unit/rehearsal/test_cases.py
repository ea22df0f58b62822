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
        ("    expect: {code: OK}\n    at: 0001-01-01T00:00:00+14:00\n", "cases[0].at: an instant of the years"),
        (f"    expect: {{code: OK}}\n    token: {{age: {'9' * 12}d}}\n", "a duration is at most"),
        ("    expect: {would_be: token_replaid}\n", "did you mean 'token_replayed'?"),
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


LIKE = (
    "policy: p.yaml\ndefaults: {request: {host: a}}\ncases:\n"
    "  - {name: good, store: spent, earlier: 2, region: UK, request: {json: {a: 1}, headers: {x: '1'}},\n"
    "     token: {claims: {sub: s, aud: a}}, expect: {code: OK, headers: {x-ott-client: c}}}\n"
)


def test_a_case_like_another_takes_all_but_what_is_expected() -> None:
    more = "  - {name: bad, like: good, token: {claims: {aud: b}}, expect: {reason: token_replayed}}\n"
    suite, _ = suite_from(
        LIKE + more + "  - {name: worse, like: bad, store: ready, expect: {status: 401}}\n", "cases.yaml"
    )
    good, bad, worse = suite.cases
    assert (bad.request, bad.store, bad.earlier, bad.region) == (good.request, "spent", 2, "UK")
    assert bad.token != "none"
    assert bad.token.claims == {"sub": "s", "aud": "b"}
    assert (bad.expect.code, bad.expect.headers, bad.expect.reason) == (None, {}, "token_replayed")
    assert (worse.token, worse.store, worse.expect.reason) == (bad.token, "ready", None)


def test_a_case_like_another_must_say_itself_what_it_expects() -> None:
    assert "cases[1].expect: required" in problems(LIKE + "  - {name: bad, like: good}\n")


def test_a_case_like_none_of_those_above_is_told_with_the_nearest_name() -> None:
    found = problems(LIKE + "  - {name: bad, like: godo, expect: {code: OK}}\n")
    assert "cases.yaml:6:23: cases[1].like: no case above has this name; did you mean 'good'?" in found
    assert "no case above" in problems(LIKE + "  - {name: bad, like: bad, expect: {code: OK}}\n")


def test_two_cases_of_one_name_are_told() -> None:
    assert "cases[1].name: a case above has this name" in problems(LIKE + "  - {name: good, expect: {code: OK}}\n")


@pytest.mark.parametrize("own", ["request: {body: text}", "request: {body: text, json: null}"])
def test_a_body_of_its_own_takes_the_place_of_the_other_ones_json(own: str) -> None:
    suite, _ = suite_from(f"{LIKE}  - {{name: bad, like: good, {own}, expect: {{code: OK}}}}\n", "cases.yaml")
    request = suite.cases[1].request
    assert (request.body, request.json_body, request.host) == ("text", None, "a")


def test_a_header_that_is_null_is_left_out() -> None:
    text = f"{LIKE}  - {{name: bad, like: good, request: {{headers: {{x: null}}}}, expect: {{code: OK}}}}\n"
    assert suite_from(text, "cases.yaml")[0].cases[1].request.headers == {"x": None}


@settings(deadline=None)
@given(st.text(max_size=200))
def test_no_text_raises_anything_but_problems(text: str) -> None:
    with contextlib.suppress(DocumentError):
        suite_from(text, "cases.yaml")
