"""What a call takes from which counter, and that no two counters are one."""

from typing import Any

import pytest

from ott_extauthz.model.mandate import Constraints, RateLimit
from ott_extauthz.model.money import MAX_MINOR_UNITS
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.constraints.charging import BUDGET_MARGIN_MS
from ott_extauthz.policy.constraints.judgement import constrained
from ott_extauthz.policy.constraints.request import Request
from ott_extauthz.policy.limits import NO_LIMITS, AmountSource, Limits
from ott_extauthz.policy.pointer import pointer_from
from ott_extauthz.ports import Charge, ChargeKind
from tests.fakes.asked import asked, mandate, whole
from tests.fakes.issuer import NOW_MS

AMOUNT = Limits(amount=AmountSource(value=pointer_from("/amount"), currency_is="EUR"))
LIFE = {"since": NOW_MS / 1000 - 60, "until": NOW_MS / 1000 + 60}
RATE = {"count": 10, "per": "1m"}
BODY = whole(b'{"amount": 12.50}')


def charges(
    claims: dict[str, Any], limits: Limits = NO_LIMITS, route: str = "debit", **request: Any
) -> tuple[Charge, ...]:
    found = constrained(route, Request(asked(claims, **request), limits))
    assert isinstance(found, tuple)
    return found


def test_a_rate_is_one_call_of_its_counter() -> None:
    [charge] = charges(mandate(rate_limit=RATE))
    assert (charge.kind, charge.limit, charge.cost, charge.period_ms) == (ChargeKind.RATE, 10, 1, 60_000)
    assert len(charge.key) == 32


def test_a_budget_of_amount_and_of_count_are_two_charges() -> None:
    budget = {"amount": {"value": "100.00", "currency": "EUR"}, "count": 10, **LIFE}
    amount, count = charges(mandate(budget=budget), AMOUNT, body=BODY)
    assert (amount.kind, amount.limit, amount.cost) == (ChargeKind.BUDGET, 10_000, 1250)
    assert (count.kind, count.limit, count.cost) == (ChargeKind.BUDGET, 10, 1)
    for charge in (amount, count):
        assert (charge.since_ms, charge.keep_until_ms) == (NOW_MS - 60_000, NOW_MS + 60_000 + BUDGET_MARGIN_MS)
    assert amount.key != count.key


def test_the_most_that_a_token_may_say_is_still_a_charge_and_no_fault_of_ours() -> None:
    """What a store could not count is refused with the token's claims; a Charge that cannot be built would be a 503."""
    budget = {
        "amount": {"value": "9999999999999.99", "currency": "EUR"},
        "count": 10**9,
        "since": 0.001,
        "until": 253_402_300_799.999,
    }
    details = mandate(budget=budget, rate_limit={"count": 10**9, "per": "31d"})
    rate, amount, count = charges(details, AMOUNT, body=whole(b'{"amount": 9999999999999.99}'))
    assert amount.cost == amount.limit == MAX_MINOR_UNITS
    assert (rate.limit, count.limit, amount.since_ms) == (10**9, 10**9, 1)
    found = constrained("debit", Request(asked(details, body=whole(b'{"amount": 1%s}' % (b"0" * 60))), AMOUNT))
    assert found == Rejection(Reason.BUDGET_EXHAUSTED, detail="authorization_details[0].budget")


def test_no_two_counters_are_one() -> None:
    route = Limits(constraints=Constraints(rate_limit=RateLimit(10, 60_000)))
    budget = {"count": 10, **LIFE}
    euro = {"amount": {"value": "100", "currency": "EUR"}, **LIFE}
    sets = [
        charges(mandate(rate_limit=RATE)),
        charges(mandate(rate_limit=RATE, identifier="debit")),
        charges(mandate(rate_limit=RATE) | {"client_id": "other"}),
        charges(mandate(rate_limit=RATE) | {"sub": "other"}),
        charges(mandate(rate_limit=RATE) | {"iss": "https://other.example"}),
        charges(mandate(budget=budget)),
        charges(mandate(budget=budget, identifier="m-2")),
        charges(mandate(budget=euro), AMOUNT, body=BODY),
        charges({}, route),
        charges({}, route, route="m-1"),
    ]
    keys = [charge.key for found in sets for charge in found]
    assert len(keys) == len(sets) == len(set(keys))


def test_another_token_of_the_same_mandate_counts_on_the_same_counter() -> None:
    one, other = charges(mandate(rate_limit=RATE)), charges(mandate(rate_limit=RATE) | {"jti": "x" * 22}, route="read")
    assert one == other


def test_the_mandate_and_the_route_are_charged_together() -> None:
    limits = Limits(constraints=Constraints(rate_limit=RateLimit(5, 1000)))
    assert [charge.limit for charge in charges(mandate(rate_limit=RATE), limits)] == [10, 5]


@pytest.mark.parametrize(
    ("budget", "now_ms", "body", "reason"),
    [
        ({"count": 1}, NOW_MS + 59_999, BODY, None),
        ({"count": 1}, NOW_MS + 60_000, BODY, Reason.BUDGET_EXHAUSTED),
        ({"amount": {"value": "12.50", "currency": "EUR"}}, NOW_MS, BODY, None),
        ({"amount": {"value": "12.49", "currency": "EUR"}}, NOW_MS, BODY, Reason.BUDGET_EXHAUSTED),
        ({"amount": {"value": "100", "currency": "JPY"}}, NOW_MS, BODY, Reason.AMOUNT_UNREADABLE),
        ({"amount": {"value": "100", "currency": "EUR"}}, NOW_MS, whole(b"{}"), Reason.AMOUNT_UNREADABLE),
        ({"amount": {"value": "100", "currency": "EUR"}}, NOW_MS, whole(b'{"amount": -1}'), Reason.AMOUNT_UNREADABLE),
        ({"amount": {"value": "0", "currency": "EUR"}}, NOW_MS, whole(b'{"amount": 0}'), None),
    ],
)
def test_a_budget_that_is_over_or_too_small_is_refused(
    budget: Any, now_ms: int, body: Any, reason: Reason | None
) -> None:
    found = constrained("debit", Request(asked(mandate(budget=budget | LIFE), now_ms=now_ms, body=body), AMOUNT))
    assert found == Rejection(reason, detail="authorization_details[0].budget") if reason else isinstance(found, tuple)
