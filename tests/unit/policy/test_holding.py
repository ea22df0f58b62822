"""Conditions of a route: one that is not surely met refuses, under its own name, and reads only what it must."""

from dataclasses import replace

import pytest

from ott_extauthz.model.body import NO_BODY, Body
from ott_extauthz.model.decision import Allow, Decision, Deny
from ott_extauthz.model.mandate import Constraints, RateLimit
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection, TokenState
from ott_extauthz.policy.constraints.request import Request
from ott_extauthz.policy.expressions.condition import compiled
from ott_extauthz.policy.holding import unheld
from ott_extauthz.policy.limits import NO_LIMITS, Limits
from ott_extauthz.policy.requirements import authorized
from ott_extauthz.policy.routes import CredentialKind, Route
from ott_extauthz.policy.rules import NO_RULES, ConditionRule, Rules, rules_of
from tests.fakes.asked import asked, whole
from tests.fakes.desk import Desk

FAILS = "request.headers['x-not-there'] == 'a'"
BODY = "request.json.amount == 1"


def when(text: str) -> ConditionRule:
    return ConditionRule("when", compiled(text))


def deny_when(text: str, index: int = 0) -> ConditionRule:
    return ConditionRule(f"deny_when[{index}]", compiled(text, denies=True), denies=True)


def rules(*conditions: ConditionRule) -> Rules:
    return rules_of(conditions, {"wallet": 2})


def refusal(*conditions: ConditionRule, body: Body = NO_BODY) -> tuple[Reason, str | None] | None:
    found = unheld("debit", rules(*conditions), Request(asked(body=body), NO_LIMITS))
    return None if found is None else (found.reason, found.detail)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (when("request.method == 'POST'"), None),
        (when("request.method == 'GET'"), (Reason.CONDITION_NOT_MET, "when")),
        (deny_when("request.method == 'GET'"), None),
        (deny_when("request.method == 'POST'", 3), (Reason.CONDITION_NOT_MET, "deny_when[3]")),
    ],
)
def test_a_when_must_be_true_and_a_deny_when_false(
    rule: ConditionRule, expected: tuple[Reason, str | None] | None
) -> None:
    assert refusal(rule) == expected


@pytest.mark.parametrize(("rule", "name"), [(when(FAILS), "when"), (deny_when(FAILS), "deny_when[0]")])
def test_a_condition_that_cannot_be_evaluated_refuses_and_says_why(rule: ConditionRule, name: str) -> None:
    found = refusal(rule)
    assert found is not None
    assert found[0] is Reason.CONDITION_FAILED
    assert found[1] is not None
    assert found[1].startswith(f"{name}: ")
    assert "x-not-there" in found[1]


def test_every_condition_is_asked_and_the_first_that_refuses_is_named() -> None:
    good, bad = when("request.method == 'POST'"), deny_when("request.host == 'wallet.api'", 1)
    assert refusal(good, deny_when("false"), bad, deny_when("true", 2)) == (Reason.CONDITION_NOT_MET, "deny_when[1]")
    assert refusal(good, deny_when("false")) is None


def test_a_route_without_conditions_reads_nothing() -> None:
    assert unheld("debit", NO_RULES, Request(asked(), NO_LIMITS)) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (whole(b'{"amount": 1}'), None),
        (whole(b'{"amount": 2}'), (Reason.CONDITION_NOT_MET, "when")),
        (whole(b'{"amount": 1, "amount": 2}'), (Reason.BODY_MALFORMED, "when")),
        (Body(b'{"amount": 1}', is_complete=False), (Reason.BODY_INCOMPLETE, "when")),
        (NO_BODY, (Reason.BODY_INCOMPLETE, "when")),
    ],
)
def test_a_body_is_read_whole_or_the_condition_refuses(body: Body, expected: tuple[Reason, str | None] | None) -> None:
    assert refusal(when(BODY), body=body) == expected


def test_a_body_that_is_null_equals_nothing() -> None:
    found = refusal(when("request.json == null"), body=whole(b"null"))
    assert found == (Reason.CONDITION_FAILED, "when: request.json is absent")


def test_a_body_that_no_condition_reads_may_be_anything() -> None:
    assert refusal(when("true"), body=whole(b"\xff")) is None


def test_a_body_that_any_condition_reads_is_read_for_all() -> None:
    assert refusal(when("true"), deny_when(BODY), body=NO_BODY) == (Reason.BODY_INCOMPLETE, "deny_when[0]")


def test_rules_say_what_they_need() -> None:
    found = rules(when("request.source.asn == 7"), deny_when("request.query['a'] == ['b']"))
    assert found.names == {"request.source.asn", "request.query"}
    assert (found.needs_asn, found.needs_body) == (True, False)
    assert (rules(when(BODY)).needs_asn, rules(when(BODY)).needs_body) == (False, True)


def test_a_condition_sees_its_own_route_parameter_and_query() -> None:
    own = "mesh.route == 'debit' && request.path_params.wallet == '7'"
    assert refusal(when(own)) is None
    path = Request(asked(path="/v1/wallets/7/debit?a=1"), NO_LIMITS)
    assert unheld("debit", rules(when("request.query['a'] == ['1']")), path) is None


def route(rule: ConditionRule, limits: Limits = NO_LIMITS) -> Route:
    return Route(name="debit", credential=CredentialKind.ONE_TIME_TOKEN, limits=limits, rules=rules(rule))


def test_a_condition_that_holds_keeps_the_charges_and_one_that_does_not_takes_none() -> None:
    limits = Limits(constraints=Constraints(rate_limit=RateLimit(5, 1000)))
    charged = authorized(route(when("true"), limits), asked())
    assert isinstance(charged, tuple)
    assert [charge.limit for charge in charged] == [5]
    assert authorized(route(when("false"), limits), asked()) == Rejection(Reason.CONDITION_NOT_MET, detail="when")


def test_a_restriction_that_is_not_known_refuses_before_any_condition_and_by_its_name() -> None:
    of = asked({"authorization_details": [{"type": "other"}]})
    assert authorized(route(when("false")), of) == Rejection(
        Reason.CONSTRAINT_UNKNOWN, detail="authorization_details[0]"
    )


POLICY = """
revision: r1
routes:
  - name: debit
    match: {methods: [POST], path: "/v1/wallets/{wallet}/debit"}
    credential: one_time_token
    audience: wallet.api
    when: 'request.path_params.wallet == "7" && request.json.amount <= 5'
    deny_when: ['"x-test" in request.headers', 'request.json.frozen == true']
"""


async def decided(path: str, body: bytes, *headers: tuple[str, str]) -> Decision:
    desk = Desk(policy=POLICY)
    sent = desk.facts(("x-ott", desk.token()), ("content-type", "application/json"), *headers, path=path)
    return await desk.ask(replace(sent, body=whole(body)))


async def test_a_call_that_meets_its_conditions_goes_through() -> None:
    assert isinstance(await decided("/v1/wallets/7/debit", b'{"amount": 5, "frozen": false}'), Allow)


@pytest.mark.parametrize(
    ("path", "body", "headers", "reason"),
    [
        ("/v1/wallets/8/debit", b'{"amount": 5, "frozen": false}', (), Reason.CONDITION_NOT_MET),
        ("/v1/wallets/7/debit", b'{"amount": 6, "frozen": false}', (), Reason.CONDITION_NOT_MET),
        ("/v1/wallets/7/debit", b'{"amount": 5, "frozen": true}', (), Reason.CONDITION_NOT_MET),
        ("/v1/wallets/7/debit", b'{"amount": 5}', (), Reason.CONDITION_FAILED),
        ("/v1/wallets/7/debit", b'{"amount": 5, "frozen": false}', (("x-test", "1"),), Reason.CONDITION_NOT_MET),
        ("/v1/wallets/7/debit", b'{"amount": 5, "frozen": false', (), Reason.BODY_MALFORMED),
    ],
)
async def test_a_call_that_does_not_is_refused_and_keeps_its_token(
    path: str, body: bytes, headers: tuple[tuple[str, str], ...], reason: Reason
) -> None:
    decision = await decided(path, body, *headers)
    assert isinstance(decision, Deny)
    assert (decision.reason, decision.token_state) == (reason, TokenState.UNSPENT)
