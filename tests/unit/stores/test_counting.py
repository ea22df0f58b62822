"""GCRA and budgets in whole numbers: to the millisecond, without drift, and in an order that tells the worst first."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ott_extauthz.ports import LARGEST_COUNT, Charge, ChargeKind, Spend, SpendOutcome, Use
from ott_extauthz.stores.counting import Counter, Counters, counter_name
from tests.charging import ACCOUNT, budget, rate

NOW_MS = 1_790_000_000_000
FENCE_MS = NOW_MS - 1000


def at(now_ms: int, held: dict[bytes, Counter]) -> Counters:
    return Counters(held=held, now_ms=now_ms, fence_ms=FENCE_MS, ended_ms=now_ms)


def outcome(held: dict[bytes, Counter], *charges: Charge, now_ms: int = NOW_MS) -> SpendOutcome | int:
    """Charge; return how long to wait where that helps, else the outcome."""
    refusal = at(now_ms, held).take(charges)
    if refusal is None:
        return SpendOutcome.FIRST_USE
    return refusal.outcome if refusal.retry_after_ms is None else refusal.retry_after_ms


FIRST = SpendOutcome.FIRST_USE


def test_a_burst_then_exactly_one_at_every_emission_instant() -> None:
    """Three per second: 333⅓ ms apart, told rounded up, and after three of them not a millisecond late."""
    held: dict[bytes, Counter] = {}
    three = rate(3, 1000)
    assert [outcome(held, three) for _ in range(4)] == [FIRST, FIRST, FIRST, 334]
    assert outcome(held, three, now_ms=NOW_MS + 333) == 1
    assert outcome(held, three, now_ms=NOW_MS + 334) is FIRST
    assert outcome(held, three, now_ms=NOW_MS + 666) == 1
    assert outcome(held, three, now_ms=NOW_MS + 667) is FIRST
    assert outcome(held, three, now_ms=NOW_MS + 999) == 1
    assert outcome(held, three, now_ms=NOW_MS + 1000) is FIRST
    assert outcome(held, three, now_ms=NOW_MS + 1000) == 334


def test_an_interval_that_is_not_whole_does_not_drift() -> None:
    held: dict[bytes, Counter] = {}
    seven = rate(7, 1000)
    for _ in range(7):
        assert outcome(held, seven) is FIRST
    for call in range(1, 7001):
        due_ms = -(-call * 1000 // 7)
        assert outcome(held, seven, now_ms=NOW_MS + due_ms - 1) == 1
        assert outcome(held, seven, now_ms=NOW_MS + due_ms) is FIRST


def test_after_idling_the_whole_burst_is_back_and_not_more() -> None:
    held: dict[bytes, Counter] = {}
    two = rate(2, 1000)
    assert [outcome(held, two) for _ in range(2)] == [FIRST, FIRST]
    later = NOW_MS + 1_000_000
    assert [outcome(held, two, now_ms=later) for _ in range(3)] == [FIRST, FIRST, 500]


def test_more_calls_than_milliseconds_are_counted_too() -> None:
    held: dict[bytes, Counter] = {}
    thousand = rate(3000, 1000)
    assert sum(outcome(held, thousand) is FIRST for _ in range(3100)) == 3000
    assert sum(outcome(held, thousand, now_ms=NOW_MS + 1) is FIRST for _ in range(10)) == 3


def test_a_clock_that_went_back_lets_nothing_more_through() -> None:
    held: dict[bytes, Counter] = {}
    one = rate(1, 1000)
    assert outcome(held, one) is FIRST
    assert outcome(held, one, now_ms=NOW_MS - 500) == 1500


@given(
    limit=st.integers(1, 50),
    period_ms=st.integers(1, 5000),
    gaps=st.lists(st.integers(0, 300), min_size=1, max_size=80),
)
def test_it_is_gcra_in_exact_fractions(limit: int, period_ms: int, gaps: list[int]) -> None:
    held: dict[bytes, Counter] = {}
    charge, interval = rate(limit, period_ms), Fraction(period_ms, limit)
    now_ms, arrival = NOW_MS, Fraction(0)
    for gap in gaps:
        now_ms += gap
        expected = max(arrival, Fraction(now_ms)) + interval
        fits = expected - now_ms <= period_ms
        answer = outcome(held, charge, now_ms=now_ms)
        assert (answer is FIRST) == fits
        if fits:
            arrival = expected
        else:
            wait = expected - now_ms - period_ms
            assert answer == -(-wait.numerator // wait.denominator)
            assert at(now_ms + int(answer), dict(held)).take([charge]) is None
            assert at(now_ms + int(answer) - 1, dict(held)).take([charge]) is not None


@given(limit=st.integers(0, LARGEST_COUNT), costs=st.lists(st.integers(0, 2**70), max_size=30))
def test_a_budget_is_never_overdrawn(limit: int, costs: list[int]) -> None:
    held: dict[bytes, Counter] = {}
    taken = sum(cost for cost in costs if outcome(held, budget(NOW_MS, limit, cost)) is FIRST)
    assert taken <= limit
    assert sum(counter.level for counter in held.values()) == taken


def test_the_worst_refusal_is_told() -> None:
    fenced, ended = budget(FENCE_MS, 1), budget(NOW_MS, 1, until_ms=NOW_MS)
    full, slow, slower = budget(NOW_MS, 0), rate(1, 1000), rate(1, 5000, key=b"s" * 32)
    held: dict[bytes, Counter] = {}
    assert outcome(held, slow, slower) is FIRST
    assert outcome(held, slow, slower, full, ended, fenced) is SpendOutcome.FENCED
    assert outcome(held, slow, slower, full, ended) is SpendOutcome.EXPIRED
    assert outcome(held, slow, slower, full) is SpendOutcome.BUDGET_EXHAUSTED
    assert outcome(held, slow, slower) == 5000


def test_a_budget_is_fenced_up_to_the_fence_and_not_a_millisecond_more() -> None:
    assert outcome({}, budget(FENCE_MS, 1)) is SpendOutcome.FENCED
    assert outcome({}, budget(FENCE_MS + 1, 1)) is FIRST


def test_a_refusal_changes_nothing() -> None:
    held: dict[bytes, Counter] = {}
    counters = at(NOW_MS, held)
    assert counters.take([budget(NOW_MS, 5), rate(1, 1000), rate(1, 1000)]) == Spend(
        SpendOutcome.RATE_LIMITED, retry_after_ms=1000
    )
    assert (held, counters.changed) == ({}, set())


def test_a_limit_made_smaller_closes_a_budget_and_keeps_a_rate_in_order() -> None:
    held: dict[bytes, Counter] = {}
    assert outcome(held, budget(NOW_MS, 10, 8)) is FIRST
    assert outcome(held, budget(NOW_MS, 5, 0)) is SpendOutcome.BUDGET_EXHAUSTED
    assert outcome(held, rate(1000, 1500)) is FIRST
    assert outcome(held, rate(2, 1500)) is FIRST
    assert held[counter_name(rate(1, 1))].part < 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": b""}, "everybody"),
        ({"limit": -1}, "0 or more"),
        ({"cost": -1}, "0 or more"),
        ({"limit": LARGEST_COUNT + 1}, "at most 9007199254740991"),
        ({"keep_until_ms": 2**63}, "at most 9007199254740991"),
        ({"since_ms": 2**53}, "at most 9007199254740991"),
        ({"kind": ChargeKind.RATE}, "a rate has"),
        ({"kind": ChargeKind.RATE, "period_ms": 1000, "limit": 0}, "a rate has"),
        ({"kind": ChargeKind.RATE, "period_ms": 1000, "limit": 2**41}, "a rate has"),
        ({"kind": ChargeKind.RATE, "period_ms": 2**41}, "a rate has"),
        ({"kind": ChargeKind.RATE, "period_ms": 1000, "cost": 2}, "a rate has"),
    ],
)
def test_a_charge_that_no_store_could_keep_cannot_be_built(change: dict[str, object], message: str) -> None:
    fields: dict[str, object] = {"kind": ChargeKind.BUDGET, "key": b"k" * 32, "limit": 1, **change}
    with pytest.raises(ValueError, match=message):
        Charge(**fields)  # type: ignore[arg-type]


def test_charges_need_an_account() -> None:
    with pytest.raises(ValueError, match="account"):
        Use(key=b"k", nonce=b"n", issued_at_ms=1, keep_until_ms=2, now_ms=1, charges=(rate(1, 1),))
    Use(key=b"k", nonce=b"n", issued_at_ms=1, keep_until_ms=2, now_ms=1, charges=(rate(1, 1),), account=ACCOUNT)
