"""What a policy says of DPoP: scheme and binding go together, or no request could meet the route."""

import pytest

from ott_extauthz.policy.document import policy_from
from ott_extauthz.policy.routes import BoundTo
from tests.unit.policy.test_agreement import policy, problems

HEAD = "match: {path: /a}, audience: a.api"


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ("credential: one_time_token, bound_to: [dpop], from: {header: authorization, scheme: Bearer}", "comes under"),
        ("credential: mandate, bound_to: [certificate, dpop], from: {scheme: bearer}", "comes under the scheme DPoP"),
        ("credential: access_token, from: {scheme: DPoP}", "add dpop to bound_to"),
        ("credential: access_token, bound_to: [certificate], from: {scheme: dpop}", "add dpop to bound_to"),
        ("credential: access_token, bound_to: [], unbound: accept the risk, from: {scheme: DPoP}", "add dpop to"),
        ("credential: api_key, from: {header: authorization, scheme: DPoP}", "add dpop to bound_to"),
    ],
)
def test_a_scheme_that_no_such_token_may_come_under(keys: str, complaint: str) -> None:
    (problem,) = problems(policy(f"{HEAD}, {keys}"))
    assert "from.scheme" in problem
    assert complaint in problem


def test_two_tokens_that_both_need_the_one_proof() -> None:
    proven = "bound_to: [dpop]"
    both = f"all_of: [{{credential: one_time_token, {proven}}}, {{credential: access_token, {proven}}}]"
    (problem,) = problems(policy(f"{HEAD}, {both}"))
    assert "all_of[1].bound_to" in problem
    assert "one DPoP proof" in problem
    assert policy_from(policy(f"{HEAD}, {both.replace('all_of', 'any_of')}"), "p.yaml").table.routes


@pytest.mark.parametrize(
    ("keys", "header", "scheme"),
    [
        ("credential: access_token, bound_to: [dpop]", "authorization", "DPoP"),
        ("credential: mandate, bound_to: [dpop, certificate], from: {scheme: dpop}", "authorization", "dpop"),
        ("credential: one_time_token, bound_to: [dpop]", "x-ott", None),
        ("credential: one_time_token, bound_to: [dpop], from: {header: x-pay, scheme: DPoP}", "x-pay", "DPoP"),
    ],
)
def test_where_a_token_bound_to_a_key_stands(keys: str, header: str, scheme: str | None) -> None:
    (route,) = policy_from(policy(f"{HEAD}, {keys}"), "p.yaml").table.routes
    assert (route.asks.header, route.asks.scheme) == (header, scheme)
    assert BoundTo.DPOP in route.asks.bound_to
