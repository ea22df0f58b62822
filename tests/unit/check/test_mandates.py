"""A mandate comes many times within its life; what each use charges is taken once, and nothing is taken for another."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from ott_extauthz.model.decision import Allow, Decision, Deny
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import SpendOutcome, UsedList, UsedListFault
from tests.fakes.desk import Desk
from tests.fakes.used_list import AnsweringUsedList, UnavailableUsedList

POLICY = """
revision: "m1"
routes:
  - name: pay
    match: {hosts: [wallet.api], methods: [POST], path: /pay}
    credential: mandate
    audience: wallet.api
    scopes: ["wallet:debit"]
  - name: pay-twice-filtered
    match: {hosts: [wallet.api], methods: [POST], path: /filtered}
    credential: mandate
    audience: wallet.api
    reservation: true
    from: {keep: true}
  - name: acted
    match: {hosts: [wallet.api], methods: [POST], path: /acted}
    credential: mandate
    audience: wallet.api
    when: 'token.act.sub == "jackpot"'
  - name: debit
    match: {hosts: [wallet.api], methods: [POST], path: /debit}
    credential: one_time_token
    audience: wallet.api
    from: {header: authorization, scheme: Bearer}
"""
REGION = {"type": "mandate", "cidr": ["10.0.0.0/8"]}


def desk_of(used_list: UsedList | None = None) -> Desk:
    return Desk(used_list, policy=POLICY)


def mandate(desk: Desk, *, type_: str = "at+jwt", **changes: Any) -> str:
    claims = {"authorization_details": [REGION], "jti": desk.entropy(16).hex()} | changes
    return desk.issuer.token(desk.issuer.claims(desk.clock.now_ms(), **claims), {"typ": type_})


def counting(**counts: Any) -> list[dict[str, Any]]:
    return [{"type": "mandate", "identifier": "m-1"} | counts]


async def ask(desk: Desk, token: str, path: str = "/pay", *, scheme: str = "Bearer", **request: Any) -> Decision:
    return await desk.ask(desk.facts(("authorization", f"{scheme} {token}"), path=path, **request))


def outcome(decision: Decision) -> Reason | None:
    return decision.reason if isinstance(decision, Deny) else None


async def test_a_mandate_passes_many_times_and_asks_no_store_where_nothing_is_charged() -> None:
    used_list = UnavailableUsedList()
    desk = desk_of(used_list)
    token = mandate(desk)
    for _ in range(5):
        decision = await ask(desk, token)
        assert isinstance(decision, Allow)
        assert decision.headers_to_remove[0] == "authorization"
        assert decision.headers_to_keep == ()
    assert used_list.uses == []


@pytest.mark.parametrize(
    ("changes", "request_changes", "reason"),
    [
        ({"authorization_details": None}, {}, Reason.MANDATE_MISSING),
        ({"cnf": None}, {}, Reason.TOKEN_UNBOUND),
        ({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}, {}, Reason.CREDENTIAL_SCHEME_REFUSED),
        ({}, {"certificate": b"\xff" * 32}, Reason.CERTIFICATE_MISMATCH),
        ({"scope": "wallet:read"}, {}, Reason.SCOPE_MISSING),
        ({"aud": "bank.api"}, {}, Reason.TOKEN_AUDIENCE_MISMATCH),
        ({"act": "jackpot"}, {}, Reason.TOKEN_CLAIMS_INVALID),
        ({"type_": "ott+jwt"}, {}, Reason.TOKEN_TYPE_REFUSED),
        ({}, {"scheme": "DPoP"}, Reason.CREDENTIAL_SCHEME_REFUSED),
        ({}, {"path": "/debit"}, Reason.TOKEN_TYPE_REFUSED),
    ],
)
async def test_a_mandate_that_does_not_fit_is_refused(
    changes: dict[str, Any], request_changes: dict[str, Any], reason: Reason
) -> None:
    desk = desk_of()
    decision = await ask(desk, mandate(desk, **changes), **request_changes)
    assert isinstance(decision, Deny)
    assert decision.reason is reason
    assert decision.token_state in {None, TokenState.UNSPENT}
    assert str(decision.challenges[0]).startswith('Bearer realm="wallet.api", error="')


async def test_a_missing_mandate_is_asked_for_without_an_error_code() -> None:
    desk = desk_of()
    decision = await desk.ask(desk.facts(path="/pay"))
    assert isinstance(decision, Deny)
    assert str(decision.challenges[0]) == 'Bearer realm="wallet.api"'


async def test_a_one_time_token_is_no_mandate_and_is_not_burned_by_the_try() -> None:
    desk = desk_of()
    token = desk.token(authorization_details=[REGION])
    assert outcome(await ask(desk, token)) is Reason.TOKEN_TYPE_REFUSED
    assert outcome(await ask(desk, token, "/debit")) is None
    assert outcome(await ask(desk, token, "/debit")) is Reason.TOKEN_REPLAYED


async def test_an_expired_mandate_passes_no_more() -> None:
    desk = desk_of()
    token = mandate(desk)
    desk.clock.advance(32_000)
    assert outcome(await ask(desk, token)) is Reason.TOKEN_EXPIRED


async def test_each_use_is_charged_until_the_budget_is_gone() -> None:
    desk = desk_of()
    now = desk.clock.now_ms() / 1000
    token = mandate(desk, authorization_details=counting(budget={"count": 3, "since": now, "until": now + 3600}))
    found = [outcome(await ask(desk, token)) for _ in range(5)]
    assert found == [None, None, None, Reason.BUDGET_EXHAUSTED, Reason.BUDGET_EXHAUSTED]
    again = mandate(desk, authorization_details=counting(budget={"count": 3, "since": now, "until": now + 3600}))
    assert outcome(await ask(desk, again)) is Reason.BUDGET_EXHAUSTED


async def test_uses_at_one_moment_never_take_more_than_the_budget_has() -> None:
    desk = desk_of()
    now = desk.clock.now_ms() / 1000
    token = mandate(desk, authorization_details=counting(budget={"count": 7, "since": now, "until": now + 3600}))
    found = await asyncio.gather(*(ask(desk, token) for _ in range(40)))
    assert Counter(map(outcome, found)) == {None: 7, Reason.BUDGET_EXHAUSTED: 33}


async def test_a_rate_holds_across_uses_of_one_mandate() -> None:
    desk = desk_of()
    token = mandate(desk, authorization_details=counting(rate_limit={"count": 2, "per": "1m"}))
    assert [outcome(await ask(desk, token)) for _ in range(3)] == [None, None, Reason.RATE_LIMITED]
    desk.clock.advance(10_000)
    assert outcome(await ask(desk, token)) is Reason.RATE_LIMITED
    desk.clock.advance(20_000)
    assert (
        outcome(await ask(desk, mandate(desk, authorization_details=counting(rate_limit={"count": 2, "per": "1m"}))))
        is None
    )


async def test_a_budget_older_than_what_the_store_remembers_is_refused() -> None:
    desk = desk_of()
    now = desk.clock.now_ms() / 1000
    token = mandate(desk, authorization_details=counting(budget={"count": 3, "since": now - 60, "until": now + 3600}))
    decision = await ask(desk, token)
    assert isinstance(decision, Deny)
    assert (decision.reason, decision.token_state) == (Reason.STORE_EPOCH, TokenState.UNSPENT)


async def test_what_two_filters_ask_about_one_request_is_charged_once() -> None:
    desk = desk_of()
    now = desk.clock.now_ms() / 1000
    token = mandate(desk, authorization_details=counting(budget={"count": 1, "since": now, "until": now + 3600}))
    for wait_ms in (0, 100, 3000):  # also later than the store knows its own write
        desk.clock.advance(wait_ms)
        first = await ask(desk, token, "/filtered")
        assert isinstance(first, Allow)
        assert first.headers_to_keep == ("authorization",)
    other = await ask(desk, token, "/filtered", stream_id="77")
    assert outcome(other) is Reason.BUDGET_EXHAUSTED


async def test_every_use_is_an_attempt_of_its_own_and_soon_forgotten() -> None:
    used_list = AnsweringUsedList()
    desk = desk_of(used_list)
    token = mandate(desk, authorization_details=counting(rate_limit={"count": 9, "per": "1m"}))
    desk.clock.advance(1000)  # a mandate older than what the store remembers is as good as any
    for _ in range(3):
        assert isinstance(await ask(desk, token), Allow)
    assert len({use.key for use in used_list.uses}) == len({use.nonce for use in used_list.uses}) == 3
    for use in used_list.uses:
        assert use.issued_at_ms == use.now_ms == desk.clock.now_ms()
        assert use.now_ms + 2000 < use.keep_until_ms <= use.now_ms + 10_000
        assert len(use.charges) == 1
    assert len(desk.checker.single_use.seen) == 0


@pytest.mark.parametrize("state", [TokenState.UNSPENT, TokenState.UNKNOWN])
async def test_a_store_that_is_down_refuses_what_would_be_charged_and_the_mandate_stays_good(state: TokenState) -> None:
    desk = desk_of(UnavailableUsedList(UsedListFault.LOST, state))
    decision = await ask(desk, mandate(desk, authorization_details=counting(rate_limit={"count": 9, "per": "1m"})))
    assert isinstance(decision, Deny)
    assert (decision.reason, decision.token_state) == (Reason.STORE_UNAVAILABLE, TokenState.UNSPENT)


@pytest.mark.parametrize("answer", [SpendOutcome.FENCED, SpendOutcome.UNSAFE, SpendOutcome.EXPIRED])
async def test_a_store_that_does_not_take_the_charge_refuses(answer: SpendOutcome) -> None:
    desk = desk_of(AnsweringUsedList([answer]))
    decision = await ask(desk, mandate(desk, authorization_details=counting(rate_limit={"count": 9, "per": "1m"})))
    assert isinstance(decision, Deny)


async def test_an_answer_that_comes_too_late_is_no_allow() -> None:
    desk = desk_of()
    decision = await desk.ask(desk.facts(("authorization", f"Bearer {mandate(desk)}"), path="/pay"), budget=0)
    assert outcome(decision) is Reason.DEADLINE_TOO_NEAR


async def test_an_audit_that_fails_leaves_the_mandate_good() -> None:
    desk = desk_of()
    desk.audit.is_full = True
    decision = await ask(desk, mandate(desk))
    assert isinstance(decision, Deny)
    assert (decision.reason, decision.token_state) == (Reason.AUDIT_UNAVAILABLE, TokenState.UNSPENT)


async def test_the_actor_is_read_by_conditions_and_told() -> None:
    desk = desk_of()
    decision = await ask(desk, mandate(desk, act={"sub": "jackpot", "act": {"sub": "lobby"}}), "/acted")
    assert isinstance(decision, Allow)
    assert decision.spent is not None
    assert decision.spent.token.actor == "jackpot"
    assert outcome(await ask(desk, mandate(desk), "/acted")) is Reason.CONDITION_FAILED
    inner = {"sub": "lobby", "act": {"sub": "jackpot"}}
    assert outcome(await ask(desk, mandate(desk, act=inner), "/acted")) is Reason.CONDITION_NOT_MET


async def test_what_a_mandate_is_charged_for_once_is_not_delivered_several_times() -> None:
    """A retry that the caller asks Envoy for costs its budget nothing."""
    desk = desk_of()
    retried = desk.facts(("authorization", f"Bearer {mandate(desk)}"), ("x-envoy-retry-on", "5xx"), path="/pay")
    assert outcome(await desk.ask(retried)) is None
    charged = mandate(desk, authorization_details=counting(rate_limit={"count": 3, "per": "1h"}))
    retried = desk.facts(("authorization", f"Bearer {charged}"), ("x-envoy-retry-on", "5xx"), path="/pay")
    assert outcome(await desk.ask(retried)) is Reason.REPEATS_REQUESTED
    assert outcome(await ask(desk, charged)) is None
