"""Rules tried on real traffic: nothing is spent, nothing is refused, and nobody's identity is carried on."""

from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

import pytest

from ott_extauthz.check.checker import Checker
from ott_extauthz.check.credentials.combining import Credentials
from ott_extauthz.check.credentials.tokens import TokenCredential
from ott_extauthz.check.shadow import MOST_WAITING, SecondPolicy
from ott_extauthz.model.decision import Allow, Deny
from ott_extauthz.model.facts import Malformed
from ott_extauthz.model.reason import Reason
from ott_extauthz.policy.document import Policy, policy_from
from ott_extauthz.policy.routes import CredentialKind
from tests.fakes.desk import POLICY, Desk

SHADOW = POLICY.replace("    clients: [rgs]\n", "    clients: [rgs]\n    mode: shadow\n")
SECOND = POLICY.replace('"r1"', '"r2"').replace("clients: [rgs]", "clients: [other]")


def break_down(text: str, **_: object) -> NoReturn:
    raise RuntimeError(text)


def broken(checker: Checker) -> Checker:
    credentials = Credentials({CredentialKind.ONE_TIME_TOKEN: TokenCredential(verify=break_down)})
    return replace(checker, credentials=credentials)


async def let_on(desk: Desk, *headers: tuple[str, str], **request: object) -> Allow:
    decision = await desk.ask(desk.facts(*headers, **request))  # type: ignore[arg-type]
    assert isinstance(decision, Allow)
    return decision


async def test_a_route_in_shadow_lets_every_call_on_and_says_what_it_would_have_refused() -> None:
    desk = Desk(policy=SHADOW)
    for headers, reason in (
        ((), Reason.CREDENTIAL_MISSING),
        ((("x-ott", "a.b.c"),), Reason.TOKEN_MALFORMED),
        ((("x-ott", desk.token(scope="x")),), Reason.SCOPE_MISSING),
        ((("x-ott", desk.token(client_id="thief")),), Reason.CLIENT_DENIED),
    ):
        decision = await let_on(desk, *headers)
        assert isinstance(decision.would_be, Deny)
        assert (decision.would_be.reason, decision.policy_revision) == (reason, "r1")


async def test_shadow_spends_nothing() -> None:
    desk = Desk(policy=SHADOW)
    token = desk.token()
    for _ in range(3):
        decision = await let_on(desk, ("x-ott", token))
        assert isinstance(decision.would_be, Allow)
        assert decision.spent is None
    assert desk.observer.spends == 0


async def test_shadow_smuggles_no_identity_and_no_credential_past_the_proxy() -> None:
    desk = Desk(policy=SHADOW)
    decision = await let_on(desk, ("x-ott", desk.token()), ("x-ott-subject", "admin"), ("x-ott-new", "1"))
    assert set(decision.headers_to_remove) == {"x-ott", "x-ott-subject", "x-ott-new"}
    assert decision.headers_to_keep == ()


@pytest.mark.parametrize(
    ("request_changes", "reason"),
    [
        ({"path": "/v1/wallets/../debit"}, Reason.PATH_AMBIGUOUS),
        ({"host": ""}, Reason.HOST_MALFORMED),
        ({"path": "/elsewhere"}, Reason.ROUTE_UNKNOWN),
        ({"extensions": [("ott.route", "health")]}, Reason.ROUTE_NAME_MISMATCH),
    ],
)
async def test_what_comes_before_the_route_still_refuses(request_changes: dict[str, object], reason: Reason) -> None:
    desk = Desk(policy=SHADOW)
    decision = await desk.ask(desk.facts(("x-ott", desk.token()), **request_changes))  # type: ignore[arg-type]
    assert isinstance(decision, Deny)
    assert decision.reason is reason


async def test_a_fault_in_shadow_is_a_would_be_refusal_and_in_force_a_refusal() -> None:
    desk = Desk(policy=SHADOW)
    desk.checker = broken(desk.checker)
    decision = await let_on(desk, ("x-ott", "x"))
    assert isinstance(decision.would_be, Deny)
    assert decision.would_be.reason is Reason.INTERNAL_ERROR
    desk.policy = policy_from(POLICY, "p")
    assert isinstance(await desk.ask(desk.facts(("x-ott", "x"))), Deny)
    assert desk.observer.faults == ["RuntimeError"] * 2


async def test_a_required_audit_is_required_in_shadow_too() -> None:
    desk = Desk(policy=SHADOW)
    desk.audit.is_full = True
    decision = await desk.ask(desk.facts(("x-ott", desk.token())))
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.AUDIT_UNAVAILABLE
    assert decision.token_state == "unspent"


@pytest.mark.parametrize("mode", ["shadow", "SHADOW", "off", "", "enforce"])
async def test_envoys_word_never_puts_an_enforced_route_into_shadow(mode: str) -> None:
    desk = Desk()
    decision = await desk.ask(desk.facts(extensions=[("ott.mode", mode)]))
    assert isinstance(decision, Deny)


@pytest.mark.parametrize(("mode", "is_shadow"), [("shadow", True), ("enforce", False), ("Shadow", False), ("", False)])
async def test_envoys_word_may_enforce_a_route_in_shadow(mode: str, *, is_shadow: bool) -> None:
    desk = Desk(policy=SHADOW)
    decision = await desk.ask(desk.facts(extensions=[("ott.mode", mode)]))
    assert isinstance(decision, Allow) == is_shadow


def with_second(desk: Desk, later: Callable[[Callable[[], None]], None], second: str = SECOND) -> Policy:
    policy = policy_from(second, "shadow.yaml")
    desk.checker = replace(
        desk.checker,
        second=SecondPolicy(policy=lambda: policy, audit=desk.audit, observer=desk.observer, later=later),
    )
    return policy


async def test_a_second_policy_speaks_after_the_answer_and_changes_none() -> None:
    desk, waiting = Desk(), list[Callable[[], None]]()
    with_second(desk, waiting.append)
    token = desk.token()
    allowed = await let_on(desk, ("x-ott", token))
    replayed = await desk.ask(desk.facts(("x-ott", token)))
    assert isinstance(replayed, Deny)
    assert desk.audit.shadows == []
    for ask in waiting:
        ask()
    first, second = desk.observer.shadows
    assert (first.answer, second.answer) == (allowed, replayed)
    assert isinstance(first.would_be, Deny)
    assert (first.would_be.reason, first.would_be.policy_revision) == (Reason.CLIENT_DENIED, "r2")
    assert first.would_be.decision_id == allowed.decision_id
    assert (first.disagrees, second.disagrees) == (True, True)
    assert desk.audit.shadows == desk.observer.shadows
    assert desk.observer.spends == 1


async def test_a_second_policy_that_breaks_breaks_nothing() -> None:
    desk, waiting = Desk(), list[Callable[[], None]]()
    with_second(desk, waiting.append)
    await let_on(desk, ("x-ott", desk.token()))
    desk.verifier.trust.clear()  # type: ignore[attr-defined]
    waiting.pop()()
    assert isinstance(desk.observer.shadows[0].would_be, Deny)

    def no_loop(_: Callable[[], None]) -> NoReturn:
        raise RuntimeError

    desk = Desk()
    with_second(desk, no_loop)
    for _ in range(MOST_WAITING + 1):
        await let_on(desk, method="GET", path="/healthz")
    assert desk.observer.faults == ["RuntimeError"] * (MOST_WAITING + 1)
    assert desk.observer.skipped == 0, "what never began does not wait"


async def test_a_fault_of_the_second_policy_is_a_would_be_refusal() -> None:
    desk, waiting = Desk(), list[Callable[[], None]]()
    with_second(desk, waiting.append)
    desk.checker = broken(desk.checker)
    assert isinstance(await desk.ask(desk.facts(("x-ott", "x"))), Deny)
    waiting.pop()()
    would_be = desk.observer.shadows[0].would_be
    assert isinstance(would_be, Deny)
    assert would_be.reason is Reason.INTERNAL_ERROR


async def test_a_backlog_of_second_opinions_is_bounded_and_counted() -> None:
    desk, waiting = Desk(), list[Callable[[], None]]()
    with_second(desk, waiting.append)
    for _ in range(MOST_WAITING + 3):
        await let_on(desk, method="GET", path="/healthz")
    assert (len(waiting), desk.observer.skipped) == (MOST_WAITING, 3)
    for ask in waiting:
        ask()
    assert not desk.observer.shadows[0].disagrees


async def test_a_malformed_request_has_a_second_opinion_too() -> None:
    desk, waiting = Desk(), list[Callable[[], None]]()
    with_second(desk, waiting.append)
    await desk.checker.check(Malformed(Reason.REQUEST_MALFORMED), deadline=desk.clock.monotonic() + 1)
    waiting.pop()()
    assert not desk.observer.shadows[0].disagrees


async def test_a_proof_goes_where_its_token_goes_in_shadow_too() -> None:
    desk = Desk(policy=SHADOW)
    assert "dpop" in (await let_on(desk, ("x-ott", desk.token()), ("dpop", "a.b.c"))).headers_to_remove
    keeping = SHADOW.replace("    clients: [rgs]\n", "    clients: [rgs]\n    from: {keep: true}\n")
    desk = Desk(policy=keeping)
    assert "dpop" not in (await let_on(desk, ("x-ott", desk.token()), ("dpop", "a.b.c"))).headers_to_remove


async def test_the_second_policys_line_has_the_instant_of_the_first_ones_though_an_issuer_was_asked_in_between() -> (
    None
):
    desk, later = Desk(), list[Callable[[], None]]()
    second = SecondPolicy(
        policy=lambda: policy_from(SECOND, "p"), audit=desk.audit, observer=desk.observer, later=later.append
    )
    facts, attempt = desk.facts(("x-ott", desk.token())), desk.checker.begin()
    arrived = attempt.now_ms
    attempt.now_ms += 80  # what a look-up took: all is judged at that instant, and the Check arrived before it
    second.ask_later(facts, attempt, attempt.deny_for_fault(Reason.INTERNAL_ERROR), desk.checker._authorized)
    later[0]()
    (record,) = desk.audit.shadows
    assert record.at_ms == arrived
