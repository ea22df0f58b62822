"""A thing sent in two readings, to get around a condition that refuses where it is there.

Conditions are asked as in a Check: a policy's text, a request, a verified token.  ``deny_when`` refuses on an error
too, so what has two readings must never count as absent.
"""

import json
from typing import Any

import pytest

from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.document import policy_from
from ott_extauthz.policy.requirements import authorized
from ott_extauthz.policy.routes import Route
from tests.fakes.asked import JSON_TYPE, asked, mandate, whole


def route(condition: str, key: str = "deny_when", path: str = "/v1/wallets/{wallet}/debit") -> Route:
    text = json.dumps({
        "revision": "r1",
        "routes": [{
            "name": "debit", "match": {"path": path}, "credential": "one_time_token", "audience": "wallet.api",
            key: condition,
        }],
    })  # fmt: skip
    [found] = policy_from(text, "policy.yaml").table.routes
    return found


def answer(condition: str, claims: dict[str, Any] | None = None, *, key: str = "deny_when", **request: Any) -> Any:
    found = authorized(route(condition, key), asked({"scope": "wallet:debit", **(claims or {})}, **request))
    return found.reason if isinstance(found, Rejection) else None


def sent(*headers: tuple[str, str]) -> Any:
    return answer("'x-test-mode' in request.headers", headers=headers)


def test_a_header_that_is_refused_does_not_pass_by_coming_twice() -> None:
    assert sent(("x-other", "1")) is None
    assert sent(("x-test-mode", "1")) is Reason.CONDITION_NOT_MET
    assert sent(("x-test-mode", "1"), ("x-test-mode", "2")) is Reason.CONDITION_FAILED


def test_a_header_that_is_refused_does_not_pass_with_an_underscore() -> None:
    assert sent(("x_test_mode", "1")) is Reason.CONDITION_FAILED
    assert sent(("x-test_mode", "1"), ("x-test-mode", "2")) is Reason.CONDITION_FAILED


def test_headers_that_nobody_reads_may_come_twice() -> None:
    assert sent(("x-forwarded-proto", "a"), ("x-forwarded-proto", "b"), ("my_own", "c")) is None


def test_whoever_looks_through_all_headers_is_not_deceived_by_doubled_ones() -> None:
    condition = "request.headers.exists(name, name == 'x-test-mode')"
    assert answer(condition, headers=(("x-a", "1"),)) is None
    assert answer(condition, headers=(("x-test-mode", "1"), ("x-test-mode", "2"))) is Reason.CONDITION_FAILED


@pytest.mark.parametrize("name", ["X-Test", "x_test", ":path", "x test", ""])
def test_a_header_that_no_request_can_have_is_an_error_at_load(name: str) -> None:
    with pytest.raises(DocumentError, match="no request has a header"):
        route(f"'{name}' in request.headers")


def test_a_member_written_as_a_header_is_an_error_at_load() -> None:
    with pytest.raises(DocumentError, match="no request has a header 'x_test'"):
        route("has(request.headers.x_test)")


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("a=1", None),
        ("a=%C3%A9+b&&c", None),
        ("admin=1", Reason.CONDITION_NOT_MET),
        ("%61dmin", Reason.CONDITION_NOT_MET),
        ("a=1;admin=1", Reason.CONDITION_FAILED),
        ("a=%FF&admin=1", Reason.CONDITION_FAILED),
        ("a=%zz&b=1", Reason.CONDITION_FAILED),
        ("a=%4", Reason.CONDITION_FAILED),
    ],
)
def test_a_query_that_servers_read_in_two_ways_is_no_way_around(query: str, reason: Reason | None) -> None:
    condition = "has(request.query) && 'admin' in request.query"
    assert answer(condition, path=f"/v1/wallets/7/debit?{query}") is reason


@pytest.mark.parametrize(
    ("wallet", "reason"),
    [
        ("7", None),
        ("a%20b", None),
        ("a%2Bb", None),
        ("frozen", Reason.CONDITION_NOT_MET),
        ("froze%6E", Reason.CONDITION_NOT_MET),
        ("frozen;", Reason.CONDITION_FAILED),
        ("frozen;v=1", Reason.CONDITION_FAILED),
        ("frozen%3Bv=1", Reason.CONDITION_FAILED),
        ("%2566rozen", Reason.CONDITION_FAILED),
        ("frozen%253Bx", Reason.CONDITION_FAILED),
    ],
)
def test_a_path_parameter_that_servers_read_in_two_ways_is_no_way_around(wallet: str, reason: Reason | None) -> None:
    path = f"/v1/wallets/{wallet}/debit"
    assert answer("request.path_params.wallet == 'frozen'", path=path) is reason
    assert answer("has(request.path_params.wallet) && request.path_params.wallet == 'frozen'", path=path) is reason


def test_a_path_parameter_is_what_the_server_decodes() -> None:
    for wallet, text in (("a%20b", "a b"), ("%C3%A9", "é"), ("a+b", "a+b"), ("a%2Bb", "a+b"), ("100%25", "100%")):
        path = f"/v1/wallets/{wallet}/debit"
        assert answer(f"request.path_params.wallet == '{text}'", key="when", path=path) is None


def test_a_path_that_servers_read_in_two_ways_is_no_way_around() -> None:
    condition = "request.path.startsWith('/v1/wallets/frozen/')"
    assert answer(condition) is None
    assert answer(condition, path="/v1/wallets/frozen/debit") is Reason.CONDITION_NOT_MET
    for wallet in ("frozen;x", "%2566rozen"):
        assert answer(condition, path=f"/v1/wallets/{wallet}/debit") is Reason.CONDITION_FAILED
    assert answer("request.method == 'GET'", path="/v1/wallets/7;x/debit") is None


TWO = {
    "authorization_details": [
        {"type": "mandate", "identifier": "m-1", "max_amount": {"value": "5", "currency": "EUR"}, "region": "EU"},
        {"type": "mandate", "identifier": "m-2", "max_amount": {"value": "50", "currency": "EUR"}},
    ]
}


@pytest.mark.parametrize(
    "condition",
    ["has(mandate.identifier)", "has(mandate.max_amount)", "has(token.max_amount)", "has(token.max_amount.currency)"],
)
def test_what_two_mandates_have_is_not_absent(condition: str) -> None:
    limits = {"max_amount": {"value": "50", "currency": "EUR"}, "region": ["EU"]}
    body = whole(b'{"amount": 1, "currency": "EUR"}')
    text = json.dumps({
        "routes": [{
            "name": "debit", "match": {"path": "/v1/wallets/{wallet}/debit"}, "credential": "one_time_token",
            "audience": "wallet.api", "amount": {"value": "/amount", "currency": "/currency"}, "constraints": limits,
            "deny_when": condition,
        }],
    })  # fmt: skip
    [found] = policy_from(text, "policy.yaml").table.routes
    refused = authorized(found, asked(TWO, body=body, region="EU"))
    assert isinstance(refused, Rejection)
    assert refused.reason is Reason.CONDITION_FAILED
    assert refused.detail is not None
    assert refused.detail.endswith("has two readings")
    none = authorized(found, asked({}, body=body, region="EU"))
    assert none == ()


def test_what_one_of_two_mandates_has_is_clear() -> None:
    claims = mandate(cidr="10.0.0.0/8") | {"region": "EU"}
    condition = "mandate.region == ['EU'] && mandate.identifier == 'm-1' && ip(request.source.ip) in cidr(mandate.cidr)"
    assert answer(condition, claims, key="when", region="EU") is None


WRONG = [("acr", 1), ("amr", "pwd"), ("amr", {"pwd": 1}), ("sid", [])]


@pytest.mark.parametrize(("claim", "value"), WRONG)
def test_a_claim_of_another_type_is_not_absent(claim: str, value: object) -> None:
    assert answer(f"has(token.{claim})") is None
    assert answer(f"has(token.{claim})", {claim: value}) is Reason.CONDITION_FAILED


@pytest.mark.parametrize(
    "body",
    [
        {"amount": 1, "Amount": 9},
        {"AMOUNT": 9},
        {"amount": 1, "order": {"AmOunt": 9}},
        {"amount": 1, "list": [[{"\u212a": 1, "amounT": 1}]]},
    ],
)
def test_a_member_in_another_case_is_not_absent_go_and_dotnet_take_it(body: dict[str, Any]) -> None:
    sent_body = whole(json.dumps(body).encode())
    for condition in ("has(request.json.amount) && request.json.amount > 5", "request.json['amount'] > 5"):
        assert answer(condition, headers=JSON_TYPE, body=sent_body) is Reason.CONDITION_FAILED
    assert answer("'amount' in request.json", key="when", body=sent_body) is Reason.CONDITION_FAILED


def test_members_that_the_condition_does_not_read_may_have_any_case() -> None:
    body = whole(b'{"amount": 1, "note": "Amount", "Currency": "x", "currency": "y"}')
    assert answer("request.json.amount > 5", body=body) is None


def test_a_body_that_cannot_be_read_is_told_with_the_condition_that_wants_it() -> None:
    text = json.dumps({"routes": [{
        "name": "debit", "match": {"path": "/v1/wallets/{wallet}/debit"}, "credential": "one_time_token",
        "audience": "wallet.api", "when": "true", "deny_when": ["false", "request.json.amount > 5"],
    }]})  # fmt: skip
    [found] = policy_from(text, "policy.yaml").table.routes
    assert authorized(found, asked()) == Rejection(Reason.BODY_INCOMPLETE, detail="deny_when[1]")
