"""What a policy says beyond tokens, through a real Envoy: hosts, headers, gRPC, conditions, counters, shadow."""

import json
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import Any

import grpc
import pytest

from tests.e2e.forge import SUBJECT, now
from tests.e2e.policies import REVISION
from tests.e2e.rig import Answer, Rig
from tests.e2e.test_protocols import grpc_channel, unary

pytestmark = pytest.mark.e2e

JSON = ("content-type", "application/json")
RULES = f"/v1/rules/{SUBJECT}"


def called(rig: Rig, target: str, **call: Any) -> Answer:
    return rig.call(token=call.pop("token", None) or rig.good(**call.pop("claims", {})), target=target, **call)


@pytest.mark.parametrize("host", ["eu.shop.example", "a.b.shop.example", "eu.shop.example."])
def test_a_host_under_the_suffix_has_its_route(rig: Rig, host: str) -> None:
    assert called(rig, "/v1/basket", host=host).status == 200


@pytest.mark.parametrize("host", ["shop.example", "shop.example.evil.test", "eu-shop.example"])
def test_a_host_beside_the_suffix_has_none(rig: Rig, host: str) -> None:
    answer = called(rig, "/v1/basket", host=host)
    assert answer.status in (400, 403)
    assert answer.deliveries == []


def test_a_header_chooses_the_narrow_route_and_no_other_spelling_reaches_the_broad_one(rig: Rig) -> None:
    acme = {"scope": "tenant:acme"}
    assert called(rig, "/v1/tenants", headers=[("x-tenant", "acme")], claims=acme).status == 200
    assert called(rig, "/v1/tenants").status == 200
    assert called(rig, "/v1/tenants", headers=[("x-tenant", "acme")]).outcome == (403, "scope_missing")
    for headers in ([("x-tenant", "ACME")], [("x-tenant", "")], [("x-tenant", "acme"), ("x-tenant", "b")]):
        answer = called(rig, "/v1/tenants", headers=headers)
        assert answer.status in (400, 403), headers
        assert answer.deliveries == []


def test_a_grpc_service_has_all_its_methods_and_no_other_service(rig: Rig) -> None:
    with grpc_channel(rig) as through:
        for method in ("Append", "Read"):
            reply, code, _ = unary(through, f"/grpc.wallet.v1.Wallet/{method}", ("x-ott", rig.good()))
            assert (reply, code) == (b"hello", grpc.StatusCode.OK)
        _, code, details = unary(through, "/grpc.wallet.v1.Wallets/Read", ("x-ott", rig.good()))
    assert (code, "ROUTE_UNKNOWN" in details) == (grpc.StatusCode.PERMISSION_DENIED, True)


def test_the_path_of_a_grpc_method_called_without_grpc_has_no_route(rig: Rig) -> None:
    answer = called(rig, "/grpc.wallet.v1.Wallet/Read", headers=[JSON], body=b"{}")
    assert answer.status == 403
    assert answer.deliveries == []


@pytest.mark.parametrize(
    ("call", "outcome"),
    [
        ({"body": b'{"limit": 10}'}, (200, None)),
        ({"body": b'{"limit": 11}'}, (403, "condition_not_met")),
        ({"body": b'{"limit": "10"}'}, (403, "condition_failed")),
        ({"body": b'{"limits": 1}'}, (403, "condition_failed")),
        ({"body": b'{"limit": 1, "limit": 99}'}, (400, "body_malformed")),
        ({"body": b'{"limit": 1', "target": RULES}, (400, "body_malformed")),
        ({"body": b"[" * 60_000}, (400, "body_malformed")),
        ({}, (400, "body_incomplete")),
        ({"body": b'{"limit": 1}', "target": "/v1/rules/player-4712"}, (403, "condition_not_met")),
        ({"body": b'{"limit": 1}', "target": f"{RULES}?debug"}, (403, "condition_not_met")),
        ({"body": b'{"limit": 1}', "target": f"{RULES}?x=%ff"}, (403, "condition_failed")),
        ({"body": b'{"limit": 1}', "headers": [JSON, ("x-test", "")]}, (403, "condition_not_met")),
    ],
    ids=str,
)
def test_a_condition_passes_what_is_true_and_nothing_else(
    rig: Rig, call: dict[str, Any], outcome: tuple[int, str | None]
) -> None:
    answer = called(rig, **({"target": RULES, "headers": [JSON]} | call))
    assert answer.outcome == outcome
    assert len(answer.deliveries) == (outcome[0] == 200)


def test_more_calls_than_the_rate_allows_are_told_to_wait_and_keep_their_tokens(rig: Rig) -> None:
    player = f"player-{token_hex(4)}"
    tokens = [rig.good(sub=player) for _ in range(12)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda token: rig.call(token=token, target="/v1/limited"), tokens))
    assert sorted(answer.status for answer in answers) == [200] * 3 + [429] * 9
    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.reason == "rate_limited"
    assert int(refused.reply.header("retry-after") or 0) > 1
    assert json.loads(refused.reply.body)["token_state"] == "unspent"
    assert called(rig, "/v1/limited", claims={"sub": f"{player}-b"}).status == 200


def test_a_mandates_budget_lets_exactly_so_much_through(rig: Rig) -> None:
    life = {"since": now() - 1, "until": now() + 120}
    budget = {"amount": {"value": "10", "currency": "EUR"}} | life
    mandate = {"type": "mandate", "identifier": token_hex(8), "budget": budget}
    tokens = [rig.good(authorization_details=[mandate]) for _ in range(15)]

    def pay(token: str) -> Answer:
        return rig.call(token=token, target="/v1/budgeted", headers=[JSON], body=b'{"amount": "2.50"}')

    with ThreadPoolExecutor(15) as pool:
        answers = list(pool.map(pay, tokens))
    assert sorted(answer.outcome for answer in answers) == [(200, None)] * 4 + [(403, "budget_exhausted")] * 11


def test_a_route_in_shadow_lets_on_what_it_would_refuse_and_lends_no_trust(rig: Rig) -> None:
    spoofed = [("x-ott-subject", "root"), ("x-ott-client", "rgs")]
    token = rig.good(scope="wallet:read")
    for _ in range(2):
        answer = rig.call(token=token, target="/v1/in-shadow", headers=spoofed)
        assert answer.status == 200
        names = {name for name, _ in answer.delivery.headers}
        assert not names & {"x-ott", "x-ott-subject", "x-ott-client", "x-ott-scope"}
        [line] = rig.audit(answer.delivery.header("x-ott-decision-id") or "?")
        assert (line["outcome"], line["shadow_reason"]) == ("allow", "scope_missing")


def test_upstream_and_audit_name_the_revision_that_decided(rig: Rig) -> None:
    assert rig.call(token=rig.good()).delivery.all("x-ott-policy-revision") == [REVISION]
