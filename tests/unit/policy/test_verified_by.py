"""`verified_by: envoy` in a policy: only where it could mean something."""

import pytest

from ott_extauthz.policy.document import policy_from
from ott_extauthz.policy.routes import VerifiedBy
from tests.unit.policy.test_agreement import TOKEN, chosen, policy, problems

MATCH = "match: {methods: [GET], path: /a}"
EITHER = "[{credential: one_time_token, verified_by: envoy}, {credential: api_key}]"


def test_a_route_takes_envoys_word_only_where_it_says_so() -> None:
    text = policy(f"{MATCH}, {TOKEN}, verified_by: envoy", "match: {methods: [GET], path: /b}, " + TOKEN)
    found = policy_from(text, "p.yaml")
    assert chosen(found, "GET /a") == "r0"
    assert [route.asks.verified_by for route in found.table.routes] == [VerifiedBy.ENVOY, VerifiedBy.US]


@pytest.mark.parametrize(
    ("route", "said"),
    [
        (f"{MATCH}, {TOKEN}, verified_by: us", "verified_by"),
        (f"{MATCH}, {TOKEN}, verified_by: true", "verified_by"),
        (f"{MATCH}, credential: api_key, verified_by: envoy", "says nothing about credential api_key"),
        (f"{MATCH}, credential: public, verified_by: envoy", "verified_by would guard nothing"),
        (f"{MATCH}, {TOKEN}, encrypted: true, verified_by: envoy", "cannot read the encrypted tokens"),
        (f"{MATCH}, audience: a.api, encrypted: true, any_of: {EITHER}", "any_of[0].verified_by: Envoy cannot read"),
    ],
)
def test_where_it_would_guard_nothing_it_is_a_mistake(route: str, said: str) -> None:
    found = problems(policy(route))
    assert len(found) == 1
    assert said in found[0]
