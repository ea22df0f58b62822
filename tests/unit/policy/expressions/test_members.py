import pytest

from ott_extauthz.policy.expressions.condition import Outcome, Truth, compiled
from ott_extauthz.policy.expressions.environment import environment
from ott_extauthz.policy.expressions.members import members_read
from ott_extauthz.policy.expressions.tree import Tree
from tests.fakes.situations import body, request, situation


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("request.json.a.b == 1 && request.json['c'] == 2 && 'd' in request.json && has(request.json.e)", set("acde")),
        ("request.json.a == 1 && size(request.json) == 1", None),
        ("request.json[token.sub] == 1", None),
        ("token.sub in request.json", None),
        ("request.json in [request.json.a]", None),
        ("['a'].exists(k, request.json[k] == 1)", None),
        ("request.json.all(x, x == 1)", None),
        ("request.json == 'a'", None),
        ("[1, 2][request.json] == 1", None),
    ],
)
def test_only_members_named_in_the_policy_narrow_a_map(text: str, members: set[str] | None) -> None:
    assert members_read(Tree(environment().compile(text)), "request.json") == members


@pytest.mark.parametrize("value", [None, 5, "a", [1], ["a"]])
def test_a_body_that_is_no_map_stays_what_it_is(value: object) -> None:
    outcome = compiled("request.json.a == 1").evaluate(situation(request=request(json=body(value))))
    assert outcome.truth is Truth.ERROR


def test_a_member_that_no_condition_reads_cannot_break_it() -> None:
    where = situation(request=request(json=body({"a": 1, "note": "x\0", "deep": {"n": 2**70}})))
    assert compiled("request.json.a == 1").evaluate(where) == Outcome(Truth.TRUE)
    assert compiled("size(request.json) == 3").evaluate(where).truth is Truth.ERROR


def test_a_narrowed_map_answers_as_the_whole_one() -> None:
    where = situation(request=request(json=body({"a": {"b": [1]}, "z": 1})))
    text = "request.json.a.b[0] == 1 && !('y' in request.json) && !has(request.json.x) && 'z' in request.json"
    assert compiled(text).evaluate(where) == Outcome(Truth.TRUE)
