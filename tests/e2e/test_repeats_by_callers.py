"""A caller that Envoy counts as internal may ask it for retries: one Check, one token, several deliveries."""

import pytest

from tests.e2e.conftest import rigs
from tests.e2e.rig import DEBIT, Rig

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("rig", rigs("memory"), indirect=True)]

AGAIN = ("x-envoy-max-retries", "3")
ASKED: list[list[tuple[str, str]]] = [
    [("x-envoy-retry-on", "5xx"), ("x-answer", "503,503,200"), AGAIN],
    # Envoy repeats even what succeeded, if it is told to.
    [("x-envoy-retry-on", "retriable-status-codes"), ("x-envoy-retriable-status-codes", "200"), AGAIN],
    [("x-envoy-retry-on", "retriable-headers"), ("x-envoy-retriable-header-names", "x-from"), AGAIN],
    [("x-envoy-retry-grpc-on", "internal"), AGAIN],
    [("x-envoy-hedge-on-per-try-timeout", "true"), ("x-envoy-upstream-rq-per-try-timeout-ms", "1")],
]


@pytest.mark.parametrize("headers", ASKED, ids=[headers[0][0] + "-" + headers[0][1] for headers in ASKED])
def test_one_token_buys_no_second_delivery_by_asking_envoy_for_retries(
    rig: Rig, headers: list[tuple[str, str]]
) -> None:
    token = rig.good()
    answer = rig.call(listener="internal", token=token, headers=headers)
    assert answer.outcome == (400, "repeats_requested")
    assert answer.reply.json["token_state"] == "unspent"
    assert rig.upstream.deliveries(answer.case) == []
    assert rig.call(listener="internal", token=token).status == 200


STEERED: dict[str, list[tuple[str, str]]] = {
    "unretried": [("x-answer", "503,503,200"), AGAIN],
    "retried": [("x-envoy-retriable-status-codes", "200"), AGAIN],
    "watched": [("x-envoy-retriable-header-names", "x-from"), AGAIN],
}
"""Routes whose own retries are few, or rare, and the caller's word that makes them more."""


@pytest.mark.parametrize("wallet", STEERED)
def test_one_token_buys_no_second_delivery_by_widening_the_retries_of_a_route(rig: Rig, wallet: str) -> None:
    target, token = f"/v1/wallets/{wallet}/debit", rig.good()
    answer = rig.call(listener="internal", target=target, token=token, headers=STEERED[wallet])
    assert rig.upstream.deliveries(answer.case) == []
    assert answer.outcome == (400, "repeats_requested")
    assert rig.call(listener="internal", target=target, token=token).status == 200


def test_where_nothing_is_good_once_retries_are_the_operators_business(rig: Rig) -> None:
    answer = rig.call(listener="internal", method="GET", target="/healthz", headers=ASKED[0])
    assert (answer.status, len(answer.deliveries)) == (200, 3)


@pytest.mark.parametrize("listener", ["shipped", "bare", "merged"])
@pytest.mark.parametrize("headers", ASKED[:3], ids=[headers[0][1] for headers in ASKED[:3]])
def test_nobody_is_internal_to_an_envoy_that_was_not_told_so(
    rig: Rig, listener: str, headers: list[tuple[str, str]]
) -> None:
    answer = rig.call(listener=listener, target=DEBIT, token=rig.good(), headers=headers)
    assert answer.status in (200, 503)
    assert len(answer.deliveries) == 1
