"""The Check's steps, their order, and what each refusal says."""

import asyncio

import pytest

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.model.decision import Allow, Deny
from ott_extauthz.model.facts import Malformed
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import Spend, SpendOutcome, StoreHealth, Use, UsedListError, UsedListFault
from tests.fakes.desk import Desk
from tests.fakes.issuer import THUMBPRINT


class ScriptedUsedList:
    """Answers as told, and counts how often it was asked."""

    def __init__(self, answer: SpendOutcome | Exception | None) -> None:
        self.answer = answer
        self.asked = 0

    async def start(self) -> None:
        return

    async def mark_used(self, use: Use, *, timeout: float) -> Spend:
        assert timeout > 0
        assert use.keep_until_ms > use.now_ms
        self.asked += 1
        if self.answer is None:
            await asyncio.Event().wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        assert self.answer is not None
        return Spend(self.answer)

    async def health(self) -> StoreHealth:
        return StoreHealth(ready=True, detail="ready")

    async def close(self) -> None:
        return


async def denied(desk: Desk, *headers: tuple[str, str], **request: object) -> Deny:
    decision = await desk.ask(desk.facts(*headers, **request))  # type: ignore[arg-type]
    assert isinstance(decision, Deny)
    return decision


async def test_a_good_token_is_let_through_once() -> None:
    desk = Desk()
    token = desk.token()
    first = await desk.ask(desk.facts(("x-ott", token)))
    assert isinstance(first, Allow)
    assert (first.route, first.policy_revision) == ("wallet-debit", "r1")
    second = await denied(desk, ("x-ott", token))
    assert (second.reason, second.token_state) == (Reason.TOKEN_REPLAYED, TokenState.SPENT)


async def test_the_credential_and_every_spoofed_header_are_removed() -> None:
    desk = Desk()
    decision = await desk.ask(
        desk.facts(("x-ott", desk.token()), ("x-ott-subject", "root"), ("x-ott-new", "1"), ("x-otter", "1"))
    )
    assert isinstance(decision, Allow)
    assert set(decision.headers_to_remove) == {"x-ott", "x-ott-subject", "x-ott-new"}


async def test_a_public_route_needs_nothing_and_still_removes_spoofed_headers() -> None:
    desk = Desk()
    decision = await desk.ask(desk.facts(("x-ott-subject", "root"), ("x-ott", "t"), method="GET", path="/healthz"))
    assert isinstance(decision, Allow)
    assert decision.spent is None
    assert set(decision.headers_to_remove) == {"x-ott", "x-ott-subject"}


@pytest.mark.parametrize(
    ("changes", "request_changes", "reason"),
    [
        ({"aud": "bank.api"}, {}, Reason.TOKEN_AUDIENCE_MISMATCH),
        ({"exp": 1}, {}, Reason.TOKEN_LIFETIME_TOO_LONG),
        ({"cnf": None}, {}, Reason.TOKEN_UNBOUND),
        ({"cnf": {"jkt": encoded(THUMBPRINT)}}, {}, Reason.TOKEN_UNBOUND),
        ({"cnf": {"x5t#S256": encoded(THUMBPRINT), "jkt": encoded(THUMBPRINT)}}, {}, Reason.DPOP_PROOF_MISSING),
        ({"cnf": {"x5t#S256": encoded(THUMBPRINT), "x5u": "https://a.example"}}, {}, Reason.BINDING_UNSUPPORTED),
        ({}, {"certificate": b"\xff" * 32}, Reason.CERTIFICATE_MISMATCH),
        ({}, {"certificate": Reason.CERTIFICATE_MISSING}, Reason.CERTIFICATE_MISSING),
        ({}, {"certificate": Reason.CERTIFICATE_HEADER_MALFORMED}, Reason.CERTIFICATE_HEADER_MALFORMED),
        ({"client_id": "other"}, {}, Reason.CLIENT_DENIED),
        ({"scope": "wallet:read"}, {}, Reason.SCOPE_MISSING),
        ({"scope": None}, {}, Reason.SCOPE_MISSING),
        ({"authorization_details": []}, {}, Reason.TOKEN_CLAIMS_INVALID),
        ({"authorization_details": [{"type": "payment"}]}, {}, Reason.CONSTRAINT_UNKNOWN),
        ({"authorization_details": [{"type": "mandate", "region": "EU"}]}, {}, Reason.REGION_DENIED),
        ({"region": "EU"}, {}, Reason.REGION_DENIED),
        ({"htm": "GET"}, {}, Reason.REQUEST_MISMATCH),
        ({"auth_time": None}, {}, Reason.AUTHENTICATION_TOO_OLD),
        ({"auth_time": 1000}, {}, Reason.AUTHENTICATION_TOO_OLD),
        ({}, {"path": "/v1/wallets/7/credit"}, Reason.ROUTE_UNKNOWN),
        ({}, {"method": "PUT"}, Reason.ROUTE_UNKNOWN),
        ({}, {"host": "evil.api"}, Reason.ROUTE_UNKNOWN),
        ({}, {"path": "/v1/wallets/../debit"}, Reason.PATH_AMBIGUOUS),
        ({}, {"host": ""}, Reason.HOST_MALFORMED),
        ({}, {"extensions": [("ott.route", "nope")]}, Reason.ROUTE_NAME_UNKNOWN),
        ({}, {"extensions": [("ott.route", "health")]}, Reason.ROUTE_NAME_MISMATCH),
    ],
)
async def test_a_refused_call_keeps_its_token(
    changes: dict[str, object], request_changes: dict[str, object], reason: Reason
) -> None:
    """The spend comes last: whatever refuses at steps 1 to 5 never reaches the used-list."""
    used_list = ScriptedUsedList(SpendOutcome.FIRST_USE)
    desk = Desk(used_list)
    decision = await denied(desk, ("x-ott", desk.token(**changes)), **request_changes)
    assert decision.reason is reason
    assert decision.token_state in {None, TokenState.UNSPENT}
    assert used_list.asked == 0


async def test_a_bound_token_is_bound_on_every_route() -> None:
    """RFC 8705 §3: where cnf is there it must hold, whatever the route asks for."""
    desk = Desk()
    decision = await denied(desk, ("x-ott", desk.token()), method="GET", path="/report", certificate=b"\0" * 32)
    assert decision.reason is Reason.CERTIFICATE_MISMATCH
    allowed = await desk.ask(desk.facts(("x-ott", desk.token(cnf=None)), method="GET", path="/report"))
    assert isinstance(allowed, Allow)


@pytest.mark.parametrize(
    ("subject", "principal", "is_allowed"),
    [
        ("spiffe://bank.example/rgs", "spiffe://bank.example/rgs", True),
        ("spiffe://bank.example/rgs", "spiffe://bank.example/other", False),
        ("spiffe://bank.example/rgs", "", False),
        ("rgs.bank.example", "rgs.bank.example", False),
        ("CN=rgs", "CN=rgs", False),
    ],
)
async def test_a_workload_is_its_uri_san_and_nothing_else(subject: str, principal: str, *, is_allowed: bool) -> None:
    desk = Desk()
    bearer = ("authorization", "Bearer " + desk.token(sub=subject, cnf=None))
    decision = await desk.ask(desk.facts(bearer, method="GET", path="/v1/wallets/7", principal=principal))
    assert isinstance(decision, Allow) == is_allowed
    if isinstance(decision, Deny):
        assert decision.reason is Reason.WORKLOAD_MISMATCH


@pytest.mark.parametrize(
    ("headers", "reason", "challenge"),
    [
        ([], Reason.CREDENTIAL_MISSING, 'OTT realm="wallet.api"'),
        ([("x-ott", "")], Reason.CREDENTIAL_MISSING, 'OTT realm="wallet.api"'),
        (
            [("x-ott", "a"), ("x-ott", "b")],
            Reason.CREDENTIAL_DUPLICATED,
            'OTT realm="wallet.api", error="invalid_request"',
        ),
        ([("x-ott", "a,b")], Reason.CREDENTIAL_DUPLICATED, 'OTT realm="wallet.api", error="invalid_request"'),
        ([("x-ott", "a.b")], Reason.TOKEN_MALFORMED, 'OTT realm="wallet.api", error="invalid_token"'),
    ],
)
async def test_challenges_follow_rfc_6750(headers: list[tuple[str, str]], reason: Reason, challenge: str) -> None:
    decision = await denied(Desk(), *headers)
    assert (decision.reason, str(decision.challenges[0])) == (reason, challenge)


async def test_a_missing_scope_and_an_old_login_say_what_is_needed() -> None:
    desk = Desk()
    scope = await denied(desk, ("x-ott", desk.token(scope="x")))
    assert str(scope.challenges[0]) == 'OTT realm="wallet.api", error="insufficient_scope", scope="wallet:debit"'
    age = await denied(desk, ("x-ott", desk.token(auth_time=1)))
    assert str(age.challenges[0]) == 'OTT realm="wallet.api", error="insufficient_user_authentication", max_age="300"'


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("Basic abc", Reason.CREDENTIAL_SCHEME_REFUSED),
        ("DPoP abc", Reason.CREDENTIAL_SCHEME_REFUSED),
        ("Bearer", Reason.CREDENTIAL_MISSING),
        ("bearer a.b.c", Reason.TOKEN_MALFORMED),
    ],
)
async def test_the_scheme_is_the_routes_own(value: str, reason: Reason) -> None:
    decision = await denied(Desk(), ("authorization", value), method="GET", path="/v1/wallets/7")
    assert decision.reason is reason
    assert decision.challenges[0].scheme == "Bearer"


@pytest.mark.parametrize(
    ("answer", "reason", "token_state", "retry_after"),
    [
        (SpendOutcome.ALREADY_USED, Reason.TOKEN_REPLAYED, TokenState.SPENT, None),
        (SpendOutcome.FENCED, Reason.STORE_EPOCH, TokenState.UNKNOWN, 1),
        (SpendOutcome.EXPIRED, Reason.TOKEN_EXPIRED, TokenState.UNSPENT, None),
        (SpendOutcome.CLOCK_DISAGREES, Reason.STORE_CLOCK, TokenState.UNSPENT, 1),
        (SpendOutcome.NOT_PRIMARY, Reason.STORE_NOT_PRIMARY, TokenState.UNSPENT, 1),
        (SpendOutcome.UNSAFE, Reason.STORE_UNSAFE, TokenState.UNSPENT, 1),
        (
            UsedListError(UsedListFault.CONNECT, TokenState.UNSPENT, "refused"),
            Reason.STORE_UNAVAILABLE,
            TokenState.UNSPENT,
            1,
        ),
        (UsedListError(UsedListFault.LOST, TokenState.UNKNOWN, "cut"), Reason.STORE_UNAVAILABLE, TokenState.UNKNOWN, 1),
        (RuntimeError("bug"), Reason.INTERNAL_ERROR, TokenState.UNKNOWN, 1),
    ],
)
async def test_only_a_first_use_is_let_through(
    answer: SpendOutcome | Exception, reason: Reason, token_state: TokenState, retry_after: int | None
) -> None:
    desk = Desk(ScriptedUsedList(answer))
    decision = await denied(desk, ("x-ott", desk.token()))
    assert (decision.reason, decision.token_state) == (reason, token_state)
    assert decision.retry_after_seconds == retry_after
    assert desk.observer.faults == (["RuntimeError"] if isinstance(answer, RuntimeError) else [])


async def test_a_spend_that_cannot_finish_is_not_started() -> None:
    used_list = ScriptedUsedList(SpendOutcome.FIRST_USE)
    desk = Desk(used_list)
    decision = await desk.ask(desk.facts(("x-ott", desk.token())), budget=0.004)
    assert isinstance(decision, Deny)
    assert (decision.reason, decision.token_state) == (Reason.DEADLINE_TOO_NEAR, TokenState.UNSPENT)
    assert used_list.asked == 0


async def test_an_answer_after_the_deadline_is_never_an_allow_authorino_649() -> None:
    class Slow(ScriptedUsedList):
        async def mark_used(self, use: Use, *, timeout: float) -> Spend:
            desk.clock.advance(300)
            return await super().mark_used(use, timeout=timeout)

    desk = Desk(Slow(SpendOutcome.FIRST_USE))
    decision = await denied(desk, ("x-ott", desk.token()))
    assert (decision.reason, decision.token_state) == (Reason.DEADLINE_TOO_NEAR, TokenState.SPENT)


async def test_a_cancelled_check_is_written_down_and_never_answered() -> None:
    desk = Desk(ScriptedUsedList(None))
    task = asyncio.create_task(desk.ask(desk.facts(("x-ott", desk.token()))))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (record,) = desk.audit.records
    assert isinstance(record.decision, Deny)
    assert record.decision.reason is Reason.CHECK_CANCELLED
    assert record.decision.token_state is TokenState.UNKNOWN


async def test_a_required_audit_that_fails_turns_every_answer_into_a_refusal() -> None:
    desk = Desk()
    desk.audit.is_full = True
    decision = await denied(desk, ("x-ott", desk.token()))
    assert (decision.reason, decision.token_state) == (Reason.AUDIT_UNAVAILABLE, TokenState.SPENT)
    public = await denied(desk, method="GET", path="/healthz")
    assert public.reason is Reason.AUDIT_UNAVAILABLE
    refused = await denied(desk, ("x-ott", desk.token(scope="x")))
    assert (refused.reason, refused.token_state) == (Reason.AUDIT_UNAVAILABLE, TokenState.UNSPENT)
    assert [record.decision for record in desk.observer.records] == [decision, public, refused]


async def test_a_malformed_request_is_refused_audited_and_counted() -> None:
    desk = Desk()
    decision = await desk.checker.check(Malformed(Reason.REQUEST_MALFORMED), deadline=desk.clock.monotonic() + 1)
    assert isinstance(decision, Deny)
    assert len(desk.audit.records) == len(desk.observer.records) == 1


async def test_every_decision_has_an_id_of_its_own() -> None:
    desk = Desk()
    ids = {(await desk.ask(desk.facts(method="GET", path="/healthz"))).decision_id for _ in range(20)}
    assert len(ids) == 20
    assert all(len(id_) == 32 for id_ in ids)


async def test_two_hundred_concurrent_uses_of_one_token_have_one_winner() -> None:
    desk = Desk()
    facts = desk.facts(("x-ott", desk.token()))
    decisions = await asyncio.gather(*(desk.ask(facts) for _ in range(200)))
    assert sum(isinstance(decision, Allow) for decision in decisions) == 1


async def test_a_named_route_is_still_held_to_its_match() -> None:
    desk = Desk()
    extensions = [("ott.route", "wallet-debit")]
    good = await desk.ask(desk.facts(("x-ott", desk.token()), extensions=extensions))
    assert isinstance(good, Allow)
    elsewhere = await denied(desk, ("x-ott", desk.token()), extensions=extensions, path="/v1/wallets/7")
    assert elsewhere.reason is Reason.ROUTE_NAME_MISMATCH


@pytest.mark.parametrize("name", [
    "x-envoy-retry-on", "x-envoy-retry-grpc-on", "x-envoy-hedge-on-per-try-timeout",
    "x-envoy-max-retries", "x-envoy-retriable-status-codes", "x-envoy-retriable-header-names",
])  # fmt: skip
async def test_a_caller_who_has_envoy_send_a_call_several_times_keeps_its_token(name: str) -> None:
    """Envoy leaves these to callers that it counts as internal, and its router obeys: one spend, several deliveries."""
    desk = Desk()
    token = desk.token()
    refused = await denied(desk, ("x-ott", token), (name, "5xx"))
    assert (refused.reason, refused.token_state) == (Reason.REPEATS_REQUESTED, TokenState.UNSPENT)
    assert isinstance(await desk.ask(desk.facts(("x-ott", token))), Allow)
    public = await desk.ask(desk.facts((name, "5xx"), method="GET", path="/healthz"))
    assert isinstance(public, Allow)
