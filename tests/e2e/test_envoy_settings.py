"""What Envoy's own settings do to single use: retries, redirects, two filters, switches.  Documented by being shown."""

import pytest

from tests.e2e.rig import Rig

pytestmark = pytest.mark.e2e


def test_a_route_retry_is_one_check_and_several_deliveries(rig: Rig) -> None:
    """Single use at the gate is not exactly-once at the upstream, which is handed the token's id to tell."""
    token = rig.good()
    target = "/v1/wallets/retried/debit"
    answer = rig.call(listener="routes", target=target, token=token, headers=[("x-answer", "503,503,200")])
    assert answer.status == 200
    assert len(answer.deliveries) == 3
    assert len({delivery.header("x-ott-token-id") for delivery in answer.deliveries}) == 1
    assert len({delivery.header("x-ott-decision-id") for delivery in answer.deliveries}) == 1
    assert len(rig.audit(answer.deliveries[0].header("x-ott-decision-id") or "none")) == 1
    assert rig.call(listener="routes", target=target, token=token).outcome == (401, "token_replayed")


def test_an_upstream_that_fails_costs_the_token(rig: Rig) -> None:
    token = rig.good()
    assert rig.call(token=token, headers=[("x-answer", "500")]).status == 500
    assert rig.call(token=token).outcome == (401, "token_replayed")


def test_an_internal_redirect_is_checked_anew_and_finds_no_token(rig: Rig) -> None:
    headers = [("x-redirect", "https://wallet.api/v1/wallets/elsewhere/debit")]
    answer = rig.call(listener="routes", target="/v1/wallets/redirected/debit", token=rig.good(), headers=headers)
    assert answer.outcome == (401, "credential_missing")
    assert [delivery.target for delivery in answer.deliveries] == ["/v1/wallets/redirected/debit"]


def test_the_second_filter_of_a_chain_finds_no_token(rig: Rig) -> None:
    """Two filters are two Checks; without a reservation the second is refused, and the call fails closed."""
    answer = rig.call(listener="two-filters", token=rig.good())
    assert answer.outcome == (401, "credential_missing")
    assert answer.deliveries == []


def test_a_disabled_route_is_not_checked_at_all(rig: Rig) -> None:
    """``ExtAuthzPerRoute.disabled`` lets everything through, spoofed identities included: a linter must list it."""
    answer = rig.call(listener="routes", target="/v1/wallets/open/debit", headers=[("x-ott-subject", "admin")])
    assert answer.status == 200
    assert answer.delivery.header("x-ott-subject") == "admin"


def test_shadow_mode_forwards_everything_and_still_spends(rig: Rig) -> None:
    token = rig.good()
    assert rig.call(listener="shadow").status == 200
    assert rig.call(listener="shadow", token=token).status == 200
    assert rig.call(token=token).outcome == (401, "token_replayed")


def test_allowed_headers_hides_from_the_server_what_it_would_remove(rig: Rig) -> None:
    """Known identity headers are replaced even so; one of the client's own passes.  So: no ``allowed_headers``."""
    spoofed = [("x-ott-subject", "admin"), ("x-ott-role", "root")]
    delivery = rig.call(listener="allowed-headers", token=rig.good(), headers=spoofed).delivery
    assert delivery.all("x-ott") == []
    assert delivery.all("x-ott-subject") == ["player-4711"]
    assert delivery.all("x-ott-role") == ["root"]


def test_x_request_id_is_made_anew_at_the_edge_and_decides_nothing(rig: Rig) -> None:
    one = rig.call(token=rig.good(), headers=[("x-request-id", "mine")])
    assert one.delivery.header("x-request-id") != "mine"
    spoofed = [("x-request-id", one.delivery.header("x-request-id") or "")]
    assert rig.call(listener="bare", token=rig.good(), headers=spoofed).status == 200
    assert rig.call(listener="bare", headers=spoofed).outcome == (401, "credential_missing")


def test_the_mutation_rule_covers_everything_that_the_server_removes(rig: Rig) -> None:
    """A name outside the rule would be 500: what the client sends must not be able to provoke it."""
    before = rig.stats("gateway.ext_authz.ott.invalid")
    names = ["x-ott-", "x-ott-a.b", "x-ott-" + "z" * 200, "x-ott-!#$%&'*+.^`|~"]
    answer = rig.call(token=rig.good(), headers=[(name, "1") for name in names])
    assert answer.status in (200, 400)
    assert rig.stats("gateway.ext_authz.ott.invalid") == before


@pytest.mark.parametrize("name", ["x-ottoman", "x-ott2", "x-ottfoo-subject"])
def test_a_header_that_only_begins_like_ours_is_no_reason_to_fail(rig: Rig, name: str) -> None:
    """A client must not be able to turn its own good call, or a public one, into Envoy's 500."""
    assert rig.call(token=rig.good(), headers=[(name, "1")]).status in (200, 400)
    assert rig.call(method="GET", target="/healthz", headers=[(name, "1")]).status in (200, 400)


def test_envoy_counts_denials_as_denials_and_nothing_as_an_error(rig: Rig) -> None:
    rig.call()
    stats = rig.stats("http.gateway.ext_authz.ott")
    assert stats["http.gateway.ext_authz.ott.denied"] > 0
    assert stats.get("http.gateway.ext_authz.ott.failure_mode_allowed", 0) >= 0
    assert stats.get("http.gateway.ext_authz.ott.ignored_dynamic_metadata", 0) == 0
