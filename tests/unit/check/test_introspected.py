"""Opaque access tokens at the desk: found, asked about, judged anew at each Check, bound."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest

from ott_extauthz.authn.access_token import AccessTokenVerifier
from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.introspection import AnswerRules
from ott_extauthz.authn.sealed import Unseal, plain_from, unsealed_without_keys
from ott_extauthz.check.answers import Answers
from ott_extauthz.check.credentials.access_tokens import AccessTokenCredential
from ott_extauthz.check.credentials.combining import Credentials
from ott_extauthz.check.credentials.credential import LookUp
from ott_extauthz.check.credentials.introspected import AskedIssuer, AskedTokens
from ott_extauthz.check.introspecting import IntrospectionResult, Introspector
from ott_extauthz.check.shadow import SecondPolicy
from ott_extauthz.model.decision import Allow, Decision, Deny
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.reason import Reason
from ott_extauthz.policy.routes import CredentialKind
from tests.fakes.desk import Desk
from tests.fakes.introspection import LOGIN, FakeEndpoint, Listening, active
from tests.fakes.issuer import NOW_MS, THUMBPRINT, FakeIssuer
from tests.fakes.key_set_server import until
from tests.unit.check.test_sealed_tokens import KEY, SEALER

POLICY: Final = f"""
revision: "r1"
routes:
  - name: read
    match: {{hosts: [wallet.api], methods: [GET], path: /read}}
    credential: access_token
    audience: wallet.api
    bound_to: []
    unbound: accept the risk
    scopes: ["wallet:read"]
  - name: write
    match: {{hosts: [wallet.api], methods: [GET], path: /write}}
    credential: access_token
    audience: wallet.api
    scopes: ["wallet:write"]
  - name: bound
    match: {{hosts: [wallet.api], methods: [GET], path: /bound}}
    credential: access_token
    audience: wallet.api
  - name: ledger
    match: {{hosts: [wallet.api], methods: [GET], path: /ledger}}
    credential: access_token
    audience: ledger.api
    bound_to: []
    unbound: accept the risk
  - name: login-only
    match: {{hosts: [wallet.api], methods: [GET], path: /login-only}}
    credential: access_token
    audience: wallet.api
    bound_to: []
    unbound: accept the risk
    issuers: ["{LOGIN}"]
  - name: ours-only
    match: {{hosts: [wallet.api], methods: [GET], path: /ours-only}}
    credential: access_token
    audience: wallet.api
    bound_to: []
    unbound: accept the risk
    issuers: ["https://issuer.bank.example"]
  - name: sealed
    match: {{hosts: [wallet.api], methods: [GET], path: /sealed}}
    credential: access_token
    audience: wallet.api
    encrypted: true
    bound_to: []
    unbound: accept the risk
"""
DPOP: Final = {"token_type": "DPoP"}
BOUND: Final = {"cnf": {"x5t#S256": encoded(THUMBPRINT)}}


class Casino:
    """A desk whose access tokens are introspected."""

    def __init__(self, *, prefix: str = "", always: bool = False, single_use: bool = False) -> None:
        self.endpoint, self.listening = FakeEndpoint(), Listening()
        self.desk = Desk(policy=POLICY)
        trust = {self.desk.issuer.issuer: self.desk.issuer.trusted()}
        signed = AccessTokenVerifier(trust=trust, iat_lead_ms=500, exp_leeway_ms=2000)
        self.issuer = self.asked(prefix=prefix, always=always, single_use=single_use)
        self.verify = signed.verify
        self.unseal: Unseal = unsealed_without_keys
        self.take(self.issuer)

    def take(self, *issuers: AskedIssuer) -> None:
        checker = self.desk.checker
        credential = AccessTokenCredential(verify=self.verify, unseal=self.unseal, asked=AskedTokens(issuers))
        credentials = Credentials({**checker.credentials.of, CredentialKind.ACCESS_TOKEN: credential})
        self.desk.checker = replace(checker, credentials=credentials)

    def asked(self, *, prefix: str = "", always: bool = False, single_use: bool = False) -> AskedIssuer:
        clock = self.desk.clock
        answers = Answers(clock=clock, active_seconds=10, inactive_seconds=5, most=100)
        return AskedIssuer(
            prefix=prefix,
            is_always_asked=always,
            introspector=Introspector(
                issuer=LOGIN, endpoint=self.endpoint, answers=answers, most_in_flight=8, clock=clock,
                observer=self.listening,
            ),
            rules=AnswerRules(issuer=LOGIN, is_single_use=single_use, iat_lead_ms=500, exp_leeway_ms=2000),
        )  # fmt: skip

    def knows(self, token: str, **changes: Any) -> str:
        self.endpoint.known[token] = active(NOW_MS, **changes)
        return token

    async def ask(self, token: str, path: str = "/read", scheme: str = "Bearer", **facts: Any) -> Decision:
        header = ("authorization", f"{scheme} {token}")
        return await self.desk.ask(self.desk.facts(header, method="GET", path=path, **facts), budget=30)

    async def outcome(self, token: str, path: str = "/read", **facts: Any) -> Reason | str:
        decision = await self.ask(token, path, **facts)
        return decision.reason if isinstance(decision, Deny) else "allow"


@pytest.fixture
def casino() -> Casino:
    return Casino()


async def test_an_opaque_token_lets_through_as_its_issuer_describes_it(casino: Casino) -> None:
    decision = await casino.ask(casino.knows("opaque"))
    assert isinstance(decision, Allow)
    assert decision.headers_to_remove[0] == "authorization"
    assert decision.spent is not None
    token = decision.spent.token
    assert (token.subject, token.client_id, token.id.issuer) == ("player-7", "rgs", LOGIN)
    assert await casino.outcome("opaque") == "allow"
    assert casino.endpoint.asked == ["opaque"]


async def test_what_a_route_asks_for_is_judged_after_the_cache(casino: Casino) -> None:
    """CVE-2021-32701: a token that was good for one route was good for all while its answer was kept."""
    casino.knows("opaque")
    assert await casino.outcome("opaque", "/read") == "allow"
    assert await casino.outcome("opaque", "/ledger") is Reason.TOKEN_AUDIENCE_MISMATCH
    assert await casino.outcome("opaque", "/bound") is Reason.TOKEN_UNBOUND
    casino.knows("bound", **BOUND)
    assert await casino.outcome("bound", "/read") == "allow"
    assert await casino.outcome("bound", "/write") is Reason.SCOPE_MISSING
    other = Thumbprint(bytes(32))
    assert await casino.outcome("bound", "/read", certificate=other) is Reason.CERTIFICATE_MISMATCH
    assert await casino.outcome("bound", "/read", certificate=Reason.CERTIFICATE_MISSING) is Reason.CERTIFICATE_MISSING
    assert await casino.outcome("bound", "/bound") == "allow"
    assert casino.endpoint.asked == ["opaque", "bound"]


async def test_a_token_that_ends_while_its_answer_is_kept_ends(casino: Casino) -> None:
    casino.knows("opaque", exp=NOW_MS // 1000 + 5)
    assert await casino.outcome("opaque") == "allow"
    casino.desk.clock.advance(5000)
    assert await casino.outcome("opaque") is Reason.TOKEN_EXPIRED
    assert len(casino.endpoint.asked) == 2  # beyond its end nothing kept counts


async def test_a_token_that_was_taken_back_is_refused_once_the_answer_is_old(casino: Casino) -> None:
    casino.knows("opaque")
    assert await casino.outcome("opaque") == "allow"
    casino.endpoint.known["opaque"] = {"active": False}
    assert await casino.outcome("opaque") == "allow"
    casino.desk.clock.advance(10_000)
    decision = await casino.ask("opaque")
    assert isinstance(decision, Deny)
    assert (decision.reason, decision.status) == (Reason.TOKEN_INACTIVE, 401)
    assert decision.challenges[0].error == "invalid_token"


@pytest.mark.parametrize("fails", [
    IntrospectionResult.CONNECT,
    IntrospectionResult.TIMEOUT,
    IntrospectionResult.FAILED,
    IntrospectionResult.REFUSED,
    IntrospectionResult.MALFORMED,
    RuntimeError("broken"),
])  # fmt: skip
async def test_without_an_answer_nobody_passes_and_all_are_told_to_come_back(
    casino: Casino, fails: IntrospectionResult | Exception
) -> None:
    casino.knows("opaque")
    casino.endpoint.fails = fails
    decision = await casino.ask("opaque")
    assert isinstance(decision, Deny)
    assert (decision.reason, decision.status) == (Reason.INTROSPECTION_UNAVAILABLE, 503)
    assert (decision.retry_after_seconds, decision.token_state) == (1, "unspent")
    assert decision.challenges == ()
    assert "opaque" not in repr(decision)
    casino.endpoint.fails = None
    assert await casino.outcome("opaque") == "allow"


async def test_an_issuer_that_is_slow_costs_no_more_than_the_deadline(casino: Casino) -> None:
    casino.endpoint.may_answer.clear()
    header = ("authorization", f"Bearer {casino.knows('opaque')}")
    decision = await casino.desk.ask(casino.desk.facts(header, method="GET", path="/read"), budget=0.02)
    assert isinstance(decision, Deny)
    assert (decision.reason, decision.detail) == (Reason.INTROSPECTION_UNAVAILABLE, "timeout")
    casino.endpoint.may_answer.set()
    await until(lambda: not casino.endpoint.under_way)


async def test_a_flood_under_one_certificate_starves_no_other_caller(casino: Casino) -> None:
    casino.endpoint.may_answer.clear()
    thief = Thumbprint(bytes(32))
    flood = [asyncio.ensure_future(casino.ask(f"made-up-{number}", certificate=thief)) for number in range(40)]
    await until(lambda: casino.endpoint.under_way == 4)
    honest = asyncio.ensure_future(casino.outcome(casino.knows("opaque")))
    await until(lambda: casino.endpoint.under_way == 5)
    casino.endpoint.may_answer.set()
    assert await honest == "allow"
    refused = [each for each in await asyncio.gather(*flood) if isinstance(each, Deny) and each.detail == "share_used"]
    assert len(refused) == 36
    assert {(each.reason, each.status) for each in refused} == {(Reason.INTROSPECTION_UNAVAILABLE, 503)}


async def test_a_jwt_is_never_shown_to_an_issuer_that_it_is_not_of(casino: Casino) -> None:
    """Whoever is shown a bearer token can use it."""
    ours = FakeIssuer()
    claims = ours.claims(NOW_MS, scope="wallet:read", cnf=None)
    jwt = ours.token(claims, {"typ": "at+jwt"})
    assert await casino.outcome(jwt) == "allow"
    assert await casino.outcome(ours.token(claims, {"typ": "at+jwt", "crit": ["x"]})) is Reason.TOKEN_HEADER_REFUSED
    assert await casino.outcome(jwt + ".e30.e30") is Reason.TOKEN_MALFORMED
    named = ours.token(claims | {"iss": LOGIN}, {"typ": "at+jwt"})
    assert await casino.outcome(named) is Reason.TOKEN_ISSUER_UNKNOWN
    header, rest = jwt.split(".", 1)
    assert await casino.outcome(f"{header}/.{rest}") is Reason.TOKEN_MALFORMED
    assert await casino.outcome(f"{jwt}.x") is Reason.TOKEN_MALFORMED
    assert casino.endpoint.asked == []


async def test_an_opaque_token_may_have_dots(casino: Casino) -> None:
    assert await casino.outcome(casino.knows("ya29.c.b0Aaekm1K7")) == "allow"


async def test_an_issuer_may_be_asked_about_its_jwts_as_well() -> None:
    casino = Casino(always=True)
    ours = FakeIssuer()
    claims = ours.claims(NOW_MS, scope="wallet:read", cnf=None)
    mine, theirs = ours.token(claims, {"typ": "at+jwt"}), ours.token(claims | {"iss": LOGIN}, {"typ": "at+jwt"})
    casino.knows(theirs)
    assert await casino.outcome(mine) == "allow"
    assert await casino.outcome(theirs) == "allow"
    assert await casino.outcome(theirs[:-8] + "AAAAAAAA") is Reason.TOKEN_INACTIVE
    assert mine not in casino.endpoint.asked


async def test_a_token_without_the_prefix_is_nobodys() -> None:
    casino = Casino(prefix="bk_")
    assert await casino.outcome(casino.knows("bk_1")) == "allow"
    assert await casino.outcome(casino.knows("other_1")) is Reason.TOKEN_MALFORMED
    assert casino.endpoint.asked == ["bk_1"]


async def test_a_route_says_whose_tokens_it_takes(casino: Casino) -> None:
    casino.knows("opaque")
    assert await casino.outcome("opaque", "/login-only") == "allow"
    assert await casino.outcome("opaque", "/ours-only") is Reason.TOKEN_MALFORMED


async def test_where_two_could_be_asked_neither_is(casino: Casino) -> None:
    casino.take(casino.issuer, casino.asked())
    assert await casino.outcome(casino.knows("opaque")) is Reason.TOKEN_MALFORMED
    assert casino.endpoint.asked == []


async def test_where_nobody_is_asked_an_opaque_token_is_malformed(casino: Casino) -> None:
    casino.take()
    assert await casino.outcome(casino.knows("opaque")) is Reason.TOKEN_MALFORMED


async def test_an_opaque_token_is_not_encrypted(casino: Casino) -> None:
    assert await casino.outcome(casino.knows("opaque"), "/sealed") is Reason.TOKEN_NOT_ENCRYPTED
    assert casino.endpoint.asked == []


async def test_what_cannot_be_a_token_is_asked_about_nowhere(casino: Casino) -> None:
    assert await casino.outcome('a"b') is Reason.TOKEN_MALFORMED
    assert await casino.outcome("a" * 8193) is Reason.TOKEN_TOO_LARGE
    assert await casino.outcome("a,b") is Reason.CREDENTIAL_DUPLICATED
    assert await casino.outcome("opaque", scheme="Basic") is Reason.CREDENTIAL_SCHEME_REFUSED
    assert await casino.outcome("") is Reason.CREDENTIAL_MISSING
    assert casino.endpoint.asked == []


async def test_a_question_shows_nothing_of_the_token(casino: Casino) -> None:
    facts = casino.desk.facts(("authorization", "Bearer 2YotnFZFEjr1zCsicMWpAA"), method="GET", path="/read")
    asked = casino.desk.checker._authorized(facts, casino.desk.checker.begin())
    assert isinstance(asked, LookUp)
    assert "2YotnFZFEjr1zCsicMWpAA" not in repr(asked)


async def test_a_token_bound_to_a_key_does_not_pass_for_a_bearer_token(casino: Casino) -> None:
    casino.knows("proven", **DPOP, cnf={"jkt": encoded(bytes(32))})
    assert await casino.outcome("proven") != "allow"
    casino.knows("others", cnf={"x5t#S256": encoded(THUMBPRINT), "kid": "k"})
    assert await casino.outcome("others") is Reason.BINDING_UNSUPPORTED


async def test_a_token_for_one_use_is_spent_by_its_text() -> None:
    """The answer's ``jti`` is the issuer's to change; the text is what the thief has."""
    casino = Casino(single_use=True)
    now = NOW_MS // 1000 + 3
    casino.desk.clock.advance(5000)
    casino.knows("once", iat=now, exp=now + 60, jti="1")
    assert await casino.outcome("once") == "allow"
    casino.knows("once", iat=now, exp=now + 60, jti="2")
    casino.desk.clock.advance(10_000)
    decision = await casino.ask("once")
    assert isinstance(decision, Deny)
    assert (decision.reason, decision.token_state) == (Reason.TOKEN_REPLAYED, "spent")
    assert await casino.outcome(casino.knows("other", iat=now, exp=now + 60, jti="1")) == "allow"


async def test_of_fifty_calls_with_a_token_for_one_use_one_passes() -> None:
    casino = Casino(single_use=True)
    now = NOW_MS // 1000 + 3
    casino.desk.clock.advance(5000)
    casino.knows("once", iat=now, exp=now + 60)
    outcomes = await asyncio.gather(*(casino.outcome("once") for _ in range(50)))
    assert outcomes.count("allow") == 1
    assert outcomes.count(Reason.TOKEN_REPLAYED) == 49
    assert casino.endpoint.asked == ["once"]


async def test_a_token_older_than_the_used_list_is_not_spent_twice_because_it_forgot() -> None:
    casino = Casino(single_use=True)
    casino.knows("once", iat=NOW_MS // 1000 - 60, exp=NOW_MS // 1000 + 60)
    assert await casino.outcome("once") is Reason.STORE_EPOCH


async def test_a_second_policy_knows_what_the_first_was_told_and_asks_nobody(casino: Casino) -> None:
    """Or a policy that is only tried would seem to refuse every opaque token."""
    desk, waiting = casino.desk, list[Callable[[], None]]()
    second = SecondPolicy(policy=lambda: desk.policy, audit=desk.audit, observer=desk.observer, later=waiting.append)
    desk.checker = replace(desk.checker, second=second)
    assert isinstance(await casino.ask(casino.knows("opaque")), Allow)
    for ask in waiting:
        ask()
    [shadow] = desk.observer.shadows
    assert isinstance(shadow.would_be, Allow)
    assert casino.endpoint.asked == ["opaque"]


async def test_what_must_be_asked_about_is_asked_about_in_an_envelope_as_well() -> None:
    """Anybody can seal a token for us: our encryption keys are public, and a revoked one must not pass for that."""
    casino = Casino(always=True, single_use=True)
    login = FakeIssuer(LOGIN)
    signed = AccessTokenVerifier(trust={LOGIN: login.trusted()}, iat_lead_ms=500, exp_leeway_ms=2000)
    casino.verify = signed.verify
    casino.unseal = lambda text, is_demanded: plain_from(text, {"k1": KEY}, is_demanded=is_demanded)
    casino.take(casino.issuer)
    casino.desk.clock.advance(5000)
    now_ms = casino.desk.clock.now_ms()
    claims = login.claims(now_ms, scope="wallet:read", cnf=None)
    jwt = login.token(claims, {"typ": "at+jwt"})
    for path in ("/read", "/sealed"):
        assert await casino.outcome(SEALER.seal("wallet.api", jwt), path) is Reason.TOKEN_INACTIVE
    casino.knows(jwt, iat=now_ms // 1000, exp=now_ms // 1000 + 30)
    casino.desk.clock.advance(10_000)
    assert await casino.outcome(jwt) == "allow"
    for path in ("/read", "/sealed"):
        assert await casino.outcome(SEALER.seal("wallet.api", jwt), path) is Reason.TOKEN_REPLAYED
    assert set(casino.endpoint.asked) == {jwt}
    opaque = SEALER.seal("wallet.api", casino.knows("opaque"))
    assert await casino.outcome(opaque) is Reason.TOKEN_MALFORMED
