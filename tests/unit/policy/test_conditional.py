"""Conditions as a route's author writes them: a mistake is told at load, at its place, or it is a refusal later."""

import pytest

from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.policy.document import policy_from
from ott_extauthz.policy.document.conditional import MOST_CONDITIONS
from ott_extauthz.policy.rules import NO_RULES, Rules

TRUE = "'true'"


def policy(keys: str, path: str = "/v1/{wallet}/{rest**}") -> str:
    start = f'revision: r1\nroutes:\n  - name: r\n    match: {{path: "{path}"}}\n'
    return f"{start}    credential: one_time_token\n    audience: a.api\n{keys}"


def rules(keys: str) -> Rules:
    [route] = policy_from(policy(keys), "p.yaml").table.routes
    return route.rules


def problem(keys: str) -> str:
    with pytest.raises(DocumentError) as caught:
        policy_from(policy(keys), "p.yaml")
    [found] = caught.value.problems
    return str(found)


def test_conditions_are_asked_in_their_order_under_their_names() -> None:
    found = rules("    when: 'true'\n    deny_when: ['false', 'request.path == \"/\"']\n")
    shown = [(rule.name, rule.denies, rule.condition.text) for rule in found.conditions]
    assert shown == [
        ("when", False, "true"),
        ("deny_when[0]", True, "false"),
        ("deny_when[1]", True, 'request.path == "/"'),
    ]
    assert found.parameters == {"wallet": 1}


def test_one_condition_needs_no_list() -> None:
    [rule] = rules("    deny_when: 'false'\n").conditions
    assert (rule.name, rule.denies) == ("deny_when[0]", True)


def test_a_route_without_conditions_has_the_rules_of_none() -> None:
    assert rules("") is NO_RULES


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ("    when: true\n", "a condition is one text in CEL"),
        ("    deny_when: [true]\n", "a condition is one text in CEL"),
        ("    when: ''\n", "when: "),
        ("    deny_when: []\n", "deny_when: "),
        (f"    deny_when: [{', '.join([TRUE] * (MOST_CONDITIONS + 1))}]\n", "deny_when: "),
        ("    when: 'request.pth == \"/\"'\n", "line 1, column "),
        ("    when: '1'\n", "line 1, column "),
        ("    when: 'request.path_params.walet == \"7\"'\n", "when: match.path has no parameter 'walet'"),
        ("    when: 'request.path_params.walet == \"7\"'\n", "did you mean 'wallet'?"),
        ("    deny_when: 'request.path_params.rest == \"7\"'\n", "deny_when[0]: match.path has no parameter 'rest'"),
    ],
)
def test_a_condition_that_could_never_be_evaluated_is_told_at_load(keys: str, complaint: str) -> None:
    found = problem(keys)
    assert complaint in found
    assert "None" not in found


def test_an_empty_condition_has_no_place_to_show() -> None:
    assert "column" not in problem("    when: ' '\n").partition("when")[2]


def test_as_many_conditions_as_the_bound() -> None:
    assert len(rules(f"    deny_when: [{', '.join([TRUE] * MOST_CONDITIONS)}]\n").conditions) == MOST_CONDITIONS


def test_a_hint_is_told_at_the_key_that_holds_the_condition() -> None:
    keys = "    deny_when: ['false', 'request.json.role != \"admin\"']\n"
    [warning] = [str(one) for one in policy_from(policy(keys), "p.yaml").warnings]
    assert warning.startswith("p.yaml:7:")
    assert "deny_when[1], line 1, column " in warning
