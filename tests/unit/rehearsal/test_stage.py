"""Does a case reach the Check as the server would get it?  What differs here would make every answer doubtful."""

import asyncio

import pytest

from ott_extauthz.model.decision import Allow, Deny
from ott_extauthz.rehearsal.stage import rehearse
from tests.unit.rehearsal.test_explaining import POLICY, about

ASN = POLICY.replace('    scopes: ["wallet:debit"]\n', "    constraints: {asn: [64500]}\n", 1)
HEADER = POLICY.replace('    scopes: ["wallet:debit"]\n', """    when: 'request.headers["x-n"] == "%s"'\n""", 1)


def reason(case: str, policy: str = POLICY) -> str | None:
    suite, compiled = about(case, policy)
    decision = asyncio.run(rehearse(suite.cases[0], suite, compiled)).decision
    return None if isinstance(decision, Allow) else decision.reason


@pytest.mark.parametrize(
    ("asn", "expected"), [("64500", None), ("64501", "network_denied"), ("null", "network_denied")]
)
def test_a_case_says_which_network_the_caller_is_in(asn: str, expected: str | None) -> None:
    assert reason(f"peer: {{asn: {asn}}}", ASN) == expected


def test_a_header_is_read_as_the_wire_reads_it() -> None:
    """Envoy sends bytes, which are read as latin-1; a condition that holds here must hold there."""
    assert reason("request: {headers: {x-n: é}}", HEADER % "Ã©") is None
    assert reason("request: {headers: {x-n: é}}", HEADER % "é") == "condition_not_met"


def test_a_target_longer_than_the_wire_takes_is_refused_here_too() -> None:
    suite, policy = about(f"request: {{path: /{'a' * 16 * 1024}}}")
    decision = asyncio.run(rehearse(suite.cases[0], suite, policy)).decision
    assert isinstance(decision, Deny)
    assert decision.reason == "request_malformed"


def test_the_header_of_a_token_may_be_written_in_any_letters() -> None:
    assert reason("token: {header: X-Ott}") is None


def test_a_budget_older_than_a_day_is_not_fenced_by_a_store_that_is_ready() -> None:
    """The case's clock stands at 2026-11-22; the budget began in May."""
    details = "[{type: mandate, identifier: m, budget: {count: 1, since: 1780000000, until: 1800000000}}]"
    mandate = f"token: {{claims: {{authorization_details: {details}}}}}"
    assert reason(mandate) is None
    assert reason(f"{{earlier: 1, {mandate}}}") == "budget_exhausted"


MANDATE = POLICY.replace("credential: one_time_token", "credential: mandate", 1)
DETAILS = "claims: {authorization_details: [{type: mandate, cidr: 0.0.0.0/0}]}"


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (f"token: {{{DETAILS}}}", None),
        (f"{{earlier: 3, token: {{{DETAILS}}}}}", None),
        ("token: {}", "mandate_missing"),
        (f"token: {{type: ott+jwt, {DETAILS}}}", "token_type_refused"),
    ],
)
def test_a_case_of_a_route_for_mandates_carries_one(case: str, expected: str | None) -> None:
    assert reason(case, MANDATE) == expected
