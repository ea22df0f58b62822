"""Reservation, provenance, the local refusal cache, and spends that are not begun."""

import dataclasses

import pytest

from ott_extauthz.check.latency import FEWEST, FRESH_SECONDS, MOST_SECONDS, RecentLatency
from ott_extauthz.check.seen import Seen, SeenTokens
from ott_extauthz.check.spending import Spending
from ott_extauthz.model.decision import Allow, Deny, SpentToken
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection, TokenState
from ott_extauthz.model.replay import FirstSpender, first_spender, witness_of
from ott_extauthz.model.token import VerifiedToken
from ott_extauthz.ports import (
    OWN_WRITE_MS,
    WITNESS_BYTES,
    Charge,
    Spend,
    SpendOutcome,
    Use,
    UsedListError,
    UsedListFault,
)
from ott_extauthz.stores.memory import MemoryUsedList
from tests.charging import budget, rate
from tests.fakes.clock import FakeClock
from tests.fakes.desk import CALLER, POLICY, Desk
from tests.fakes.issuer import NOW_MS
from tests.fakes.used_list import AnsweringUsedList

RESERVED = POLICY.replace("    max_auth_age: 5m\n", "    max_auth_age: 5m\n    reservation: true\n")
DEBIT = {"path": "/v1/wallets/7/debit"}


class CountingList(MemoryUsedList):
    asked = 0

    async def mark_used(self, use: Use, *, timeout: float) -> Spend:
        type(self).asked += 1
        return await super().mark_used(use, timeout=timeout)


async def outcome(desk: Desk, token: str, **request: object) -> Reason | None:
    decision = await desk.ask(desk.facts(("x-ott", token), **request))  # type: ignore[arg-type]
    return decision.reason if isinstance(decision, Deny) else None


async def test_without_a_reservation_the_same_request_twice_is_a_replay() -> None:
    desk = Desk()
    token = desk.token()
    assert await outcome(desk, token) is None
    assert await outcome(desk, token) is Reason.TOKEN_REPLAYED


async def test_only_what_is_let_through_again_counts_as_a_repetition() -> None:
    desk, repeats = Desk(policy=RESERVED), []
    desk.checker = dataclasses.replace(
        desk.checker, single_use=dataclasses.replace(desk.checker.single_use, on_repeat=lambda: repeats.append(1))
    )
    token = desk.token()
    counts = []
    for changes in ({}, {}, {"stream_id": "another"}, {}):
        await outcome(desk, token, **changes)
        counts.append(len(repeats))
    assert counts == [0, 1, 1, 2]


async def test_with_a_reservation_the_same_request_twice_is_one_spend_for_two_seconds() -> None:
    desk = Desk(policy=RESERVED)
    token = desk.token()
    assert await outcome(desk, token) is None
    desk.clock.advance(OWN_WRITE_MS)
    assert await outcome(desk, token) is None
    desk.clock.advance(1)
    assert await outcome(desk, token) is Reason.TOKEN_REPLAYED


@pytest.mark.parametrize(
    "change",
    [
        {"stream_id": "another"},
        {"path": "/v1/wallets/8/debit"},
        {"principal": "spiffe://bank.example/other"},
        {"path": "/v1/wallets/7/debit?x=1"},
    ],
)
async def test_anything_else_is_a_replay_even_with_a_reservation(change: dict[str, str]) -> None:
    """An internal redirect has another http.id; a client's retry another stream."""
    desk = Desk(policy=RESERVED)
    token = desk.token()
    assert await outcome(desk, token) is None
    assert await outcome(desk, token, **change) is Reason.TOKEN_REPLAYED


async def test_a_request_without_a_name_has_no_reservation() -> None:
    """Whoever leaves the stream id out must not make every request the same one."""
    desk = Desk(policy=RESERVED)
    token = desk.token()
    assert await outcome(desk, token, stream_id="") is None
    assert await outcome(desk, token, stream_id="") is Reason.TOKEN_REPLAYED


async def test_two_tokens_of_one_request_are_two_spends() -> None:
    desk = Desk(policy=RESERVED)
    assert await outcome(desk, desk.token()) is None
    assert await outcome(desk, desk.token()) is None


async def test_a_replay_says_who_spent_the_token_first() -> None:
    desk = Desk()
    token = desk.token()
    first = await desk.ask(desk.facts(("x-ott", token)))
    assert isinstance(first, Allow)
    again = await desk.ask(desk.facts(("x-ott", token)))
    assert isinstance(again, Deny)
    assert again.first == FirstSpender(
        at_ms=desk.clock.now_ms(), decision_id=first.decision_id, route="wallet-debit", peer_certificate=CALLER
    )
    assert [record.decision for record in desk.observer.replays] == [again]


async def test_a_worker_refuses_what_it_saw_spent_without_asking_the_store() -> None:
    desk = Desk()
    counting = CountingList(clock=desk.clock, iat_lead_ms=500)
    desk = Desk(counting)
    desk.clock.advance(3000)
    CountingList.asked = 0
    token = desk.token(iat=(desk.clock.now_ms()) / 1000)
    for _ in range(50):
        await outcome(desk, token)
    assert CountingList.asked == 1


def test_what_another_worker_saw_is_asked_again_while_its_winner_may_repeat() -> None:
    seen = SeenTokens()
    seen.add(b"k", Seen(b"", 10_000, None, ask_until_ms=2_000))
    assert seen.replayed_by(b"k", b"n", 1_999) is None
    assert seen.replayed_by(b"k", b"n", 2_000) is not None


def test_the_refusal_cache_is_bounded_in_number_and_by_expiry() -> None:
    seen = SeenTokens(most=3)
    for number in range(10):
        seen.add(bytes([number]), Seen(b"n", 1000, None))
    assert len(seen) == 3
    assert seen.replayed_by(bytes([9]), b"other", 999) is not None
    assert seen.replayed_by(bytes([9]), b"n", 999) is None, "the winner's own repeat is for the store to judge"
    assert seen.replayed_by(bytes([9]), b"other", 1000) is None
    assert len(seen) == 2


async def test_a_spend_is_not_begun_when_the_store_lately_takes_longer_than_is_left() -> None:
    desk = Desk()
    for _ in range(FEWEST):
        desk.checker.single_use.latency.add(desk.clock.monotonic(), 0.2)
    decision = await desk.ask(desk.facts(("x-ott", desk.token())), budget=0.04)
    assert isinstance(decision, Deny)
    assert (decision.reason, decision.token_state) == (Reason.DEADLINE_TOO_NEAR, TokenState.UNSPENT)
    whole = await desk.ask(desk.facts(("x-ott", desk.token())), budget=0.15)
    assert isinstance(whole, Allow), "slow spends never become an outage for those with time left"
    desk.clock.advance(int(FRESH_SECONDS * 1000) + 1)
    assert isinstance(await desk.ask(desk.facts(("x-ott", desk.token())), budget=0.15), Allow), (
        "old samples do not count"
    )


class FailingList(MemoryUsedList):
    fault = UsedListFault.TIMEOUT

    async def mark_used(self, use: Use, *, timeout: float) -> Spend:
        raise UsedListError(self.fault, TokenState.UNKNOWN, "switched off")


@pytest.mark.parametrize("fault", list(UsedListFault))
async def test_a_failed_spend_is_measured_unless_it_was_turned_away_and_never_judged_by(fault: UsedListFault) -> None:
    clock = Desk().clock
    failing = FailingList(clock=clock, iat_lead_ms=500)
    failing.fault = fault
    desk = Desk(failing)
    for _ in range(FEWEST):
        assert await outcome(desk, desk.token()) is Reason.STORE_UNAVAILABLE
    is_turned_away = fault in {UsedListFault.CIRCUIT_OPEN, UsedListFault.OVERLOADED, UsedListFault.CLOSED}
    assert desk.observer.spends == (0 if is_turned_away else FEWEST)
    assert not desk.checker.single_use.latency._samples


def test_the_p99_needs_fresh_samples() -> None:
    latency = RecentLatency()
    assert latency.p99(1.0) == 0
    for number in range(100):
        latency.add(1.0, 0.001 if number else 0.5)
    assert latency.p99(2.0) == MOST_SECONDS
    assert latency.p99(2.05) == MOST_SECONDS, "judged ten times a second"
    assert latency.p99(9.0) == 0


def test_a_witness_stays_within_its_bound_and_comes_back() -> None:
    witness = witness_of("f" * 32, "r" * 63, CALLER)
    assert len(witness) <= WITNESS_BYTES
    found = first_spender(5, witness)
    assert found == FirstSpender(at_ms=5, decision_id="f" * 32, route="r" * 63, peer_certificate=CALLER)
    assert first_spender(5, b"not ours") is None
    assert first_spender(5, witness_of("d", "r", None)) == FirstSpender(
        at_ms=5, decision_id="d", route="r", peer_certificate=None
    )


def test_a_witness_beyond_its_bound_is_a_programmers_error() -> None:
    with pytest.raises(ValueError, match="at most 256"):
        Use(key=b"k", nonce=b"n", issued_at_ms=1, keep_until_ms=2, now_ms=1, witness=b"x" * 257)


class Till:
    """A desk's single use, asked directly: what the policy would charge is the test's to say."""

    def __init__(self) -> None:
        self.desk = Desk(CountingList(clock=FakeClock(now_ms=NOW_MS), iat_lead_ms=500))
        self.desk.clock.advance(10_000)
        self.single_use = self.desk.checker.single_use
        CountingList.asked = 0

    def token(self) -> VerifiedToken:
        verified = self.desk.verifier.verify(self.desk.token(), audience="wallet.api", now_ms=self.desk.clock.now_ms())
        assert isinstance(verified, VerifiedToken)
        return verified

    async def spend(
        self, token: VerifiedToken, *charges: Charge, nonce: bytes = b"", deadline: float = 1.0
    ) -> SpentToken | Rejection:
        spending = Spending(token=token, nonce=nonce or self.desk.entropy(16), witness=b"", charges=charges)
        clock = self.desk.clock
        return await self.single_use.spend(spending, now_ms=clock.now_ms(), deadline=clock.monotonic() + deadline)

    def budget(self, limit: int) -> Charge:
        return budget(self.desk.clock.now_ms(), limit)


async def test_a_refused_charge_leaves_the_token_unspent_and_out_of_the_refusal_cache() -> None:
    till = Till()
    token = till.token()
    assert await till.spend(token, till.budget(0)) == Rejection(Reason.BUDGET_EXHAUSTED, TokenState.UNSPENT)
    assert await till.spend(token, till.budget(0)) == Rejection(Reason.BUDGET_EXHAUSTED, TokenState.UNSPENT)
    assert len(till.single_use.seen) == 0
    assert isinstance(await till.spend(token, till.budget(1)), SpentToken)


async def test_a_limited_rate_says_how_long_to_wait_and_the_same_token_gets_through_then() -> None:
    till = Till()
    slow = rate(1, 1500)
    assert isinstance(await till.spend(till.token(), slow), SpentToken)
    token = till.token()
    refused = await till.spend(token, slow)
    assert refused == Rejection(Reason.RATE_LIMITED, TokenState.UNSPENT, retry_after_ms=1500)
    till.desk.clock.advance(1500)
    assert isinstance(await till.spend(token, slow), SpentToken)


async def test_a_replay_that_the_worker_knows_of_costs_neither_a_question_nor_a_charge() -> None:
    till = Till()
    token, charge = till.token(), till.budget(2)
    assert isinstance(await till.spend(token, charge, nonce=b"n" * 16), SpentToken)
    for _ in range(5):
        replay = await till.spend(token, charge)
        assert isinstance(replay, Rejection)
        assert (replay.reason, replay.token_state) == (Reason.TOKEN_REPLAYED, TokenState.SPENT)
    assert CountingList.asked == 1
    assert isinstance(await till.spend(token, charge, nonce=b"n" * 16), SpentToken)  # its own repeat is asked again
    assert isinstance(await till.spend(till.token(), charge), SpentToken)
    last = await till.spend(till.token(), charge)
    assert isinstance(last, Rejection)
    assert last.reason is Reason.BUDGET_EXHAUSTED


async def test_a_budget_from_before_the_fence_says_that_the_store_forgot() -> None:
    till = Till()
    stale = budget(0, 10, keep_ms=2 * till.desk.clock.now_ms())
    refused = await till.spend(till.token(), stale)
    assert refused == Rejection(Reason.STORE_EPOCH, TokenState.UNKNOWN)


@pytest.mark.parametrize("outcome", [outcome for outcome in SpendOutcome if outcome is not SpendOutcome.FIRST_USE])
async def test_every_outcome_but_the_first_use_is_a_refusal(outcome: SpendOutcome) -> None:
    till = Till()
    single_use = dataclasses.replace(till.single_use, used_list=AnsweringUsedList([outcome]), seen=SeenTokens())
    till.single_use = single_use
    refused = await till.spend(till.token(), rate(1, 1))
    assert isinstance(refused, Rejection)
    assert len(single_use.seen) == (outcome is SpendOutcome.ALREADY_USED), "only what is surely spent is remembered"
