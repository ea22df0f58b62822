"""The example's clients.yaml and its policy are about the same tokens."""

import pytest

from ott_extauthz.authn.mandates import DETAILS, narrowing_from
from ott_extauthz.bootstrap.policy_files import read_policy
from ott_extauthz.issuer.clients import Clients, clients_from
from ott_extauthz.issuer.details import Ceilinged, Span, joined
from ott_extauthz.issuer.oauth_error import OAuthError
from tests.examples.conftest import EXAMPLES

NOW_MS = 1_795_000_000_000
IGAMING = EXAMPLES / "igaming"


@pytest.fixture(scope="module")
def clients() -> Clients:
    return clients_from((IGAMING / "clients.yaml").read_text(), "clients.yaml")


def test_every_client_has_a_scope_of_a_route_that_it_may_call(clients: Clients) -> None:
    known: dict[str | None, set[str]] = {}
    for route in read_policy([IGAMING / "policy"]).table.routes:
        known.setdefault(route.audience, set()).update(route.scopes)
    for client in clients.values():
        for audience, grant in client.audiences.items():
            assert set(grant.scopes) <= known[audience]


def test_a_token_of_the_jackpot_has_what_its_route_asks_for_though_nobody_mentioned_it(clients: Clients) -> None:
    ceiling = clients["jackpot"].audiences["wallet"].ceiling
    within = Ceilinged(ceiling=ceiling, client_id="jackpot", audience="wallet", new_identifier=lambda: "m-1")
    details = joined([], [], within, Span(now_ms=NOW_MS, lifetime_ms=120_000))
    assert not isinstance(details, OAuthError)
    mandates = narrowing_from({DETAILS: list(details)}, NOW_MS).mandates
    assert [mandate.max_amount is not None for mandate in mandates] == [True, False]
    assert [mandate.budget is not None for mandate in mandates] == [False, True]
