"""Is a difference called what the policy's author calls it?"""

import pytest

from ott_extauthz.policy.document import policy_from
from ott_extauthz.policy.routes import Route
from ott_extauthz.rehearsal.differing import differing_keys

ROUTE = "routes: [{{name: a, match: {{path: /a}}, credential: one_time_token, audience: x{more}}}]"
AMOUNT = ", amount: {value: /a, currency_is: EUR}"


def route(more: str = "") -> Route:
    (found,) = policy_from(ROUTE.format(more=more), "policy.yaml").table.routes
    return found


@pytest.mark.parametrize(
    ("one", "other", "keys"),
    [
        ("", "", ()),
        ("", ", max_auth_age: 5m", ("max_auth_age",)),
        ("", ", from: {header: authorization, scheme: Bearer}", ("from",)),
        ("", ", mode: shadow", ("mode",)),
        ("", ", reservation: true", ()),
        ("", AMOUNT, ("amount",)),
        (AMOUNT, AMOUNT + ", constraints: {max_amount: {value: 1, currency: EUR}}", ("constraints",)),
        ("", ", bound_to_request: [body], scopes: [b]", ("scopes", "bound_to_request")),
        (", when: token.sub == 'a'", ", when: token.sub == 'b'", ("when",)),
        (", when: token.sub == 'a'", ", when: token.sub == 'a'", ()),
        (", deny_when: [token.sub == 'a']", ", deny_when: [token.sub == 'a', token.sub == 'b']", ("deny_when",)),
        (", when: token.sub == 'a'", ", deny_when: token.sub == 'a'", ("when", "deny_when")),
    ],
)
def test_the_keys_that_differ(one: str, other: str, keys: tuple[str, ...]) -> None:
    assert differing_keys(route(one), route(other)) == keys
    assert differing_keys(route(other), route(one)) == keys
