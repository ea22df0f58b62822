"""Several credentials on one route: each must hold, or exactly one is brought."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ott_extauthz.check.attempt import Attempt
from ott_extauthz.check.credentials.credential import Credential, LookUp, Verified
from ott_extauthz.model.decision import Allow, Decision, Deny
from ott_extauthz.model.facts import Facts
from ott_extauthz.model.once import Once, OnceKind
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection, TokenState
from ott_extauthz.model.step import Step
from ott_extauthz.model.token import Confirmation, TokenId, TokenKind, VerifiedToken
from ott_extauthz.policy.routes import Asks, CredentialKind
from ott_extauthz.ports import UsedList
from tests.fakes.desk import SUBJECT, Desk
from tests.fakes.issuer import NOW_MS
from tests.fakes.used_list import AnsweringUsedList

ROUTE = """
revision: "r1"
routes:
  - name: pay
    match: {{path: /pay}}
    audience: wallet.api
    {keys}
"""
ALL = """all_of:
      - {credential: one_time_token}
      - {credential: api_key}"""
ANY = """any_of:
      - {credential: one_time_token}
      - {credential: access_token, bound_to: [], unbound: accept the risk}
      - {credential: api_key}
      - {credential: certificate, certificate: {spiffe_ids: ["spiffe://bank.example/rgs"]}}"""

TWO_TOKENS = """all_of:
      - {credential: one_time_token}
      - {credential: access_token}"""
SHARED_HEADER = """any_of:
      - {credential: access_token, from: {keep: true}}
      - {credential: one_time_token, from: {header: authorization, scheme: OTT}}"""


@dataclass
class Told:
    """A credential that says what it is told, where its header is."""

    kind: TokenKind = TokenKind.API_KEY
    client_id: str = "rgs"
    answer: Rejection | LookUp | None = None
    once: tuple[Once, ...] = ()
    details: tuple[str, ...] = ()

    def is_presented(self, asks: Asks, facts: Facts) -> bool:
        return asks.header in facts.headers

    def verified(self, asks: Asks, facts: Facts, attempt: Attempt) -> Verified | Rejection | LookUp:
        if asks.header and asks.header not in facts.headers:
            return Rejection(Reason.CREDENTIAL_MISSING)
        if isinstance(self.answer, LookUp):
            found = attempt.answers.get(self.answer.key)
            if not isinstance(found, Rejection | str):
                return self.answer
            if isinstance(found, Rejection):
                return found
        elif self.answer is not None:
            return self.answer
        attempt.credential_presented = True
        attempt.saw(self.token())
        carriers = (asks.header,) if asks.header else ()
        return Verified(token=self.token(), carriers=carriers, once=self.once)

    def token(self) -> VerifiedToken:
        id_ = TokenId("api-keys", "k1")
        return VerifiedToken(
            kind=self.kind, id=id_, digest=id_.digest, subject="key", client_id=self.client_id, audience="wallet.api",
            issued_at_ms=NOW_MS, expires_at_ms=NOW_MS + 86_400_000, not_before_ms=None, confirmation=Confirmation(),
            scope=frozenset(), txn=None, auth_time_ms=None, restrictions=self.details,
        )  # fmt: skip


def desk(keys: str, used_list: UsedList | None = None, **told: Any) -> Desk:
    more: dict[CredentialKind, Credential] = {
        CredentialKind.API_KEY: Told(**told),
        CredentialKind.CERTIFICATE: Told(kind=TokenKind.CERTIFICATE, client_id=SUBJECT),
    }
    return Desk(used_list, policy=ROUTE.format(keys=keys), more=more)


async def ask(at: Desk, *headers: tuple[str, str]) -> Decision:
    return await at.ask(at.facts(*headers, method="POST", path="/pay"))


def access(at: Desk, **changes: Any) -> str:
    """An access token of the very client that has the one-time tokens."""
    return at.issuer.token(at.issuer.claims(at.clock.now_ms(), **changes), {"typ": TokenKind.ACCESS})


def reason(decision: Decision) -> Reason:
    assert isinstance(decision, Deny)
    return decision.reason


async def test_each_must_hold_and_each_is_taken_away_from_the_upstream() -> None:
    at = desk(ALL)
    decision = await ask(at, ("x-ott", at.token()), ("x-api-key", "k"))
    assert isinstance(decision, Allow)
    assert decision.spent is not None
    assert decision.spent.token.subject == SUBJECT  # the first names the caller
    assert {"x-ott", "x-api-key"} <= set(decision.headers_to_remove)
    assert decision.credential == "one_time_token"


async def test_one_of_two_is_not_enough() -> None:
    at = desk(ALL)
    assert reason(await ask(at, ("x-ott", at.token()))) is Reason.CREDENTIAL_MISSING
    assert reason(await ask(at, ("x-api-key", "k"))) is Reason.CREDENTIAL_MISSING


async def test_a_stolen_token_beside_somebody_elses_key_is_refused_and_not_spent() -> None:
    at = desk(ALL, client_id="mallory")
    decision = await ask(at, ("x-ott", at.token()), ("x-api-key", "k"))
    assert reason(decision) is Reason.CREDENTIALS_DISAGREE
    assert isinstance(decision, Deny)
    assert decision.token_state is TokenState.UNSPENT
    assert at.observer.spends == 0


async def test_the_name_of_a_certificate_need_not_be_the_clients() -> None:
    keys = """all_of:
      - {credential: one_time_token}
      - {credential: certificate, certificate: {spiffe_ids: ["spiffe://bank.example/rgs"]}}"""
    at = desk(keys)
    assert isinstance(await ask(at, ("x-ott", at.token())), Allow)


async def test_a_token_that_is_not_the_callers_is_spent_all_the_same() -> None:
    at = desk("""all_of:
      - {credential: api_key}
      - {credential: one_time_token}""")
    token = at.token()
    first = await ask(at, ("x-ott", token), ("x-api-key", "k"))
    assert isinstance(first, Allow)
    assert first.spent is not None
    assert first.spent.token.subject == "key"
    assert reason(await ask(at, ("x-ott", token), ("x-api-key", "k"))) is Reason.TOKEN_REPLAYED


async def test_what_narrows_the_second_token_holds_too() -> None:
    at = desk(ALL, details=("authorization_details[0]",))
    assert reason(await ask(at, ("x-ott", at.token()), ("x-api-key", "k"))) is Reason.CONSTRAINT_UNKNOWN


@pytest.mark.parametrize("header", [("x-api-key", "k"), ("x-ott", "")])
async def test_exactly_one_that_is_brought_must_hold(header: tuple[str, str]) -> None:
    at = desk(ANY)
    name, value = header
    assert isinstance(await ask(at, (name, value or at.token())), Allow)


async def test_two_credentials_at_once_are_refused_whichever_of_them_is_good() -> None:
    at = desk(ANY, answer=Rejection(Reason.API_KEY_UNKNOWN))
    assert reason(await ask(at, ("x-ott", at.token()), ("x-api-key", "k"))) is Reason.CREDENTIAL_DUPLICATED
    assert reason(await ask(at, ("authorization", "Bearer x"), ("x-api-key", "k"))) is Reason.CREDENTIAL_DUPLICATED


@pytest.mark.parametrize("joined", ["Basic Zm9v,Bearer x", "Basic Zm9v, bearer x", "Basic Zm9v ,\tBearer x"])
async def test_a_second_credential_does_not_hide_behind_the_comma_of_two_joined_lines(joined: str) -> None:
    """The upstream would get it, unjudged, beside the one that was good."""
    at = desk(ANY)
    assert reason(await ask(at, ("x-api-key", "k"), ("authorization", joined))) is Reason.CREDENTIAL_DUPLICATED
    assert reason(await ask(at, ("authorization", joined))) is Reason.CREDENTIAL_DUPLICATED


async def test_a_certificate_never_makes_up_for_a_bad_credential() -> None:
    at = desk(ANY, answer=Rejection(Reason.API_KEY_UNKNOWN))
    assert reason(await ask(at, ("x-api-key", "k"))) is Reason.API_KEY_UNKNOWN
    assert reason(await ask(at, ("x-ott", "rubbish"))) is Reason.TOKEN_MALFORMED


async def test_a_certificate_counts_where_nothing_else_came() -> None:
    decision = await ask(desk(ANY))
    assert isinstance(decision, Allow)
    assert decision.spent is not None
    assert decision.spent.token.kind is TokenKind.CERTIFICATE
    assert decision.credential == "certificate"


async def test_another_scheme_in_the_same_header_is_not_the_routes_credential() -> None:
    keys = """any_of:
      - {credential: one_time_token}
      - {credential: access_token, bound_to: [], unbound: accept the risk}"""
    decision = await ask(desk(keys), ("authorization", "Basic Zm9v"))
    assert reason(decision) is Reason.CREDENTIAL_MISSING
    assert isinstance(decision, Deny)
    assert [challenge.scheme for challenge in decision.challenges] == ["OTT", "Bearer"]


async def test_the_challenge_of_a_bad_credential_is_its_own() -> None:
    decision = await ask(desk(ANY, answer=Rejection(Reason.API_KEY_UNKNOWN)), ("x-api-key", "k"))
    assert isinstance(decision, Deny)
    assert decision.credential == "api_key"
    assert [str(challenge) for challenge in decision.challenges] == ['ApiKey realm="wallet.api", error="invalid_token"']


def once(kind: OnceKind, name: bytes = b"a", status: int | None = None) -> Once:
    return Once(
        kind=kind, key=name * 32, acceptable_from_ms=NOW_MS + 5000, acceptable_until_ms=NOW_MS + 60_000,
        repeat_status=status,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (OnceKind.PROOF, Reason.DPOP_PROOF_REPLAYED),
        (OnceKind.NONCE, Reason.SIGNATURE_REPLAYED),
        (OnceKind.EVENT, Reason.EVENT_REPEATED),
    ],
)
async def test_what_may_come_once_comes_once(kind: OnceKind, expected: Reason) -> None:
    at = desk("credential: api_key", once=(once(kind),))
    at.clock.advance(6000)
    assert isinstance(await ask(at, ("x-api-key", "k")), Allow)
    assert reason(await ask(at, ("x-api-key", "k"))) is expected
    assert len(at.observer.replays) == (kind is not OnceKind.EVENT)  # a repeated event alarms nobody


@pytest.mark.parametrize(
    ("kind", "state"), [(TokenKind.SIGNED_REQUEST, TokenState.SPENT), (TokenKind.API_KEY, TokenState.UNSPENT)]
)
async def test_a_signed_request_is_spent_with_its_nonce_and_a_key_is_not(kind: TokenKind, state: TokenState) -> None:
    at = desk("credential: api_key", once=(once(OnceKind.NONCE),), kind=kind)
    at.clock.advance(6000)
    await ask(at, ("x-api-key", "k"))
    again = await ask(at, ("x-api-key", "k"))
    assert isinstance(again, Deny)
    assert again.token_state is state


async def test_of_many_at_once_one_is_let_through() -> None:
    at = desk("credential: api_key", once=(once(OnceKind.NONCE), once(OnceKind.EVENT, b"b")))
    at.clock.advance(6000)
    decisions = await asyncio.gather(*(ask(at, ("x-api-key", "k")) for _ in range(50)))
    assert sum(isinstance(decision, Allow) for decision in decisions) == 1


async def test_the_route_says_how_a_repeated_event_is_answered() -> None:
    at = desk("credential: api_key", once=(once(OnceKind.EVENT, status=200),))
    at.clock.advance(6000)
    await ask(at, ("x-api-key", "k"))
    again = await ask(at, ("x-api-key", "k"))
    assert isinstance(again, Deny)
    assert again.status == 200


async def test_an_event_is_marked_after_all_else_or_a_replay_would_lose_it() -> None:
    keys = """all_of:
      - {credential: one_time_token}
      - {credential: api_key}"""
    at = desk(keys, once=(once(OnceKind.EVENT),))
    at.clock.advance(6000)
    token = at.token()
    await at.ask(at.facts(("x-ott", token), ("x-api-key", "k"), method="POST", path="/pay"))
    assert reason(await ask(at, ("x-ott", token), ("x-api-key", "k"))) is Reason.TOKEN_REPLAYED
    assert reason(await ask(at, ("x-ott", at.token()), ("x-api-key", "k"))) is Reason.EVENT_REPEATED


async def test_what_was_good_before_the_store_forgot_is_refused() -> None:
    early = replace(once(OnceKind.NONCE), acceptable_from_ms=NOW_MS - 60_000)
    at = desk("credential: api_key", once=(early,))
    assert reason(await ask(at, ("x-api-key", "k"))) is Reason.STORE_EPOCH


async def test_a_look_up_is_awaited_once_and_its_answer_is_judged() -> None:
    asked: list[float] = []

    async def answer(seconds: float) -> object:
        asked.append(seconds)
        at.clock.advance(40)
        return "active"

    at = desk("credential: api_key", answer=LookUp(key=b"k", ask=answer))
    arrived = at.clock.now_ms()
    assert isinstance(await ask(at, ("x-api-key", "k")), Allow)
    assert len(asked) == 1
    assert at.audit.records[-1].at_ms == arrived
    assert 0 < asked[0] < 0.25


async def test_a_look_up_that_fails_refuses() -> None:
    async def answer(_: float) -> object:
        return Rejection(Reason.INTROSPECTION_UNAVAILABLE)

    at = desk("credential: api_key", answer=LookUp(key=b"k", ask=answer))
    decision = await ask(at, ("x-api-key", "k"))
    assert reason(decision) is Reason.INTROSPECTION_UNAVAILABLE
    assert isinstance(decision, Deny)
    assert decision.status == 503


async def test_a_credential_that_never_has_enough_is_a_fault_and_not_a_loop() -> None:
    async def answer(_: float) -> object:
        return None

    at = desk("credential: api_key", answer=LookUp(key=b"k", ask=answer))
    decision = await ask(at, ("x-api-key", "k"))
    assert reason(decision) is Reason.INTERNAL_ERROR
    assert at.audit.records[-1].decision is decision


async def test_a_kind_that_nobody_can_judge_is_refused() -> None:
    at = Desk(policy=ROUTE.format(keys="credential: api_key"))
    assert reason(await ask(at, ("x-api-key", "k"))) is Reason.INTERNAL_ERROR


async def test_a_refusal_names_the_step_in_which_it_came() -> None:
    at = desk(ANY)
    attempt = at.checker.begin()
    await at.checker.decide(at.facts(("x-ott", "rubbish"), path="/pay"), attempt, at.clock.monotonic() + 1)
    assert attempt.step is Step.VERIFY
    assert attempt.asks is not None
    assert attempt.asks.credential is CredentialKind.ONE_TIME_TOKEN


async def test_the_routes_own_rate_counts_a_request_once_however_many_tokens_it_needs() -> None:
    at = desk(TWO_TOKENS + "\n    constraints: {rate_limit: {count: 2, per: 1h}}")
    for _ in range(2):
        assert isinstance(await ask(at, ("x-ott", at.token()), ("authorization", f"Bearer {access(at)}")), Allow)
    refused = await ask(at, ("x-ott", at.token()), ("authorization", f"Bearer {access(at)}"))
    assert reason(refused) is Reason.RATE_LIMITED


async def test_only_the_callers_token_must_name_its_request() -> None:
    at = desk(ALL + "\n    bound_to_request: [method]")
    token = at.token(htm="POST")
    assert isinstance(await ask(at, ("x-ott", token), ("x-api-key", "k")), Allow)
    assert reason(await ask(at, ("x-ott", at.token()), ("x-api-key", "k"))) is Reason.TOKEN_UNBOUND


async def test_only_what_may_stay_stays_where_two_schemes_share_a_header() -> None:
    at = desk(SHARED_HEADER)
    kept = await ask(at, ("authorization", f"Bearer {access(at)}"))
    assert isinstance(kept, Allow)
    assert kept.headers_to_keep == ("authorization",)
    taken = await ask(at, ("authorization", f"OTT {at.token()}"))
    assert isinstance(taken, Allow)
    assert taken.headers_to_keep == ()


async def test_a_replayed_proof_leaves_the_one_time_token_beside_it_unspent() -> None:
    at = desk(ALL, once=(once(OnceKind.PROOF),))
    at.clock.advance(6000)
    assert isinstance(await ask(at, ("x-ott", at.token()), ("x-api-key", "k")), Allow)
    refused = await ask(at, ("x-ott", at.token()), ("x-api-key", "k"))
    assert isinstance(refused, Deny)
    assert (refused.reason, refused.token_state) == (Reason.DPOP_PROOF_REPLAYED, TokenState.UNSPENT)


async def test_what_ends_while_somebody_is_asked_has_ended_and_the_store_is_told_the_time_of_now() -> None:
    """A store refuses callers whose clock is off, as that of a Check would seem which waited for a second."""
    seconds = 1

    async def answer(_: float) -> object:
        at.clock.advance(seconds * 1000)
        return "active"

    used_list = AnsweringUsedList()
    at = desk(ALL, used_list, answer=LookUp(key=b"k", ask=answer))

    async def asked() -> Decision:
        headers = ("x-ott", at.token()), ("x-api-key", "k")
        return await at.ask(at.facts(*headers, method="POST", path="/pay"), budget=100)

    assert isinstance(await asked(), Allow)
    assert used_list.uses[-1].now_ms == at.clock.now_ms()
    seconds = 40
    assert reason(await asked()) is Reason.TOKEN_EXPIRED


@pytest.mark.parametrize("kind", ["one_time_token", "access_token"])
async def test_one_token_in_two_places_is_not_two_tokens(kind: str) -> None:
    """Nor under a reservation, to which the second spend of it would be Envoy asking again."""
    keys = f"""reservation: true
    all_of:
      - {{credential: {kind}, from: {{header: x-one}}}}
      - {{credential: {kind}, from: {{header: x-two}}}}"""
    at = desk(keys)
    is_once = kind == "one_time_token"
    one, two = (at.token(), at.token()) if is_once else (access(at), access(at, jti="second"))
    twice = await ask(at, ("x-one", one), ("x-two", one))
    assert reason(twice) is Reason.CREDENTIAL_DUPLICATED
    assert at.observer.spends == 0
    assert isinstance(await ask(at, ("x-one", one), ("x-two", two)), Allow)


TWO_MANDATES = """all_of:
      - {credential: one_time_token}
      - {credential: mandate}"""


def counting(**counts: Any) -> list[dict[str, Any]]:
    return [{"type": "mandate", "identifier": "m-1"} | counts]


def budget(count: int) -> list[dict[str, Any]]:
    return counting(budget={"count": count, "since": NOW_MS // 1000 + 2, "until": NOW_MS // 1000 + 3600})


async def pay(at: Desk, one: list[dict[str, Any]], other: list[dict[str, Any]], **changes: Any) -> Reason | None:
    """Bring a one-time token that was made from a mandate, and a mandate beside it."""
    beside = access(at, authorization_details=other, jti=at.entropy(16).hex(), **changes)
    token = at.token(authorization_details=one)
    decision = await ask(at, ("x-ott", token), ("authorization", f"Bearer {beside}"))
    return decision.reason if isinstance(decision, Deny) else None


@pytest.mark.parametrize("details", [budget(3), counting(rate_limit={"count": 3, "per": "1h"})], ids=["budget", "rate"])
async def test_one_call_is_charged_once_however_many_tokens_of_one_mandate_it_brings(
    details: list[dict[str, Any]],
) -> None:
    at = desk(TWO_MANDATES)
    assert [await pay(at, details, details) for _ in range(3)] == [None] * 3
    assert await pay(at, details, details) in (Reason.BUDGET_EXHAUSTED, Reason.RATE_LIMITED)


@pytest.mark.parametrize(("one", "other"), [(2, 9), (9, 2)])
async def test_of_two_tokens_of_one_mandate_the_narrower_holds(one: int, other: int) -> None:
    at = desk(TWO_MANDATES)
    assert [await pay(at, budget(one), budget(other)) for _ in range(3)] == [None, None, Reason.BUDGET_EXHAUSTED]


async def test_one_counter_at_two_rates_is_refused_and_nothing_is_spent() -> None:
    at = desk(TWO_MANDATES)
    hour, day = (counting(rate_limit={"count": 3, "per": per}) for per in ("1h", "2h"))
    assert await pay(at, hour, day) is Reason.CREDENTIAL_DUPLICATED
    assert at.observer.spends == 0


async def test_a_mandate_of_another_identifier_or_subject_is_charged_on_its_own() -> None:
    at = desk(TWO_MANDATES)
    other = [budget(1)[0] | {"identifier": "m-2"}]
    assert await pay(at, budget(9), other) is None
    assert await pay(at, budget(9), other) is Reason.BUDGET_EXHAUSTED
    assert await pay(at, budget(9), budget(1), sub="somebody-else") is None
    assert await pay(at, budget(9), budget(1), sub="somebody-else") is Reason.BUDGET_EXHAUSTED
