"""Tokens for one request and mandates with amounts, against bodies as a real Envoy hands them over."""

import hashlib
import json
from typing import Any

import pytest

from tests.e2e.forge import b64
from tests.e2e.rig import Answer, Rig

pytestmark = pytest.mark.e2e

BOUND, PAY = "/v1/wallets/w-17/bound", "/v1/wallets/w-17/pay"
BODY = b'{"amount": 12.50, "currency": "EUR"}'
JSON = [("content-type", "application/json")]
CHUNKED = ("transfer-encoding", "chunked")


def bound(rig: Rig, body: bytes, *, path: str = BOUND) -> str:
    return rig.good(htm="POST", htp=path, digest=b64(hashlib.sha256(body).digest()))


def pay(rig: Rig, body: bytes, limit: str = "12.50", currency: str = "EUR", **call: Any) -> Answer:
    mandate = {"type": "mandate", "max_amount": {"value": limit, "currency": currency}}
    return rig.call(token=rig.good(authorization_details=[mandate]), target=PAY, body=body, headers=JSON, **call)


@pytest.mark.parametrize("body", [BODY, bytes(range(256)), b"\xff\xfe\x00!", b"x" * 65536])
def test_the_very_request_passes_once_and_whole(rig: Rig, body: bytes) -> None:
    token = bound(rig, body)
    assert rig.call(token=token, target=BOUND, body=body).delivery.body == body
    assert rig.call(token=token, target=BOUND, body=body).outcome == (401, "token_replayed")


def test_a_template_passes_for_its_paths_alone(rig: Rig) -> None:
    template = "/v1/wallets/{wallet}/bound"
    assert rig.call(token=bound(rig, BODY, path=template), target="/v1/wallets/w-18/bound", body=BODY).status == 200
    other = bound(rig, BODY, path="/v1/wallets/w-17/bound")
    assert rig.call(token=other, target="/v1/wallets/w-18/bound", body=BODY).outcome == (401, "request_mismatch")


def test_an_altered_body_is_refused_and_the_token_stays_good(rig: Rig) -> None:
    token = bound(rig, BODY)
    altered = rig.call(token=token, target=BOUND, body=BODY.replace(b"12", b"92"))
    assert altered.outcome == (401, "request_mismatch")
    assert altered.deliveries == []
    assert json.loads(altered.reply.body)["token_state"] == "unspent"
    assert rig.call(token=token, target=BOUND, body=BODY).status == 200


def test_a_body_that_the_server_saw_in_part_is_refused(rig: Rig) -> None:
    """Even where the token is for the very part that the server sees."""
    body = b"x" * 200
    for seen in (body, body[:64]):
        answer = rig.call(listener="partial-body", token=bound(rig, seen), target=BOUND, body=body)
        assert (answer.outcome, answer.deliveries) == ((400, "body_incomplete"), [])
    assert rig.call(listener="partial-body", token=bound(rig, body[:64]), target=BOUND, body=body[:64]).status == 200


def test_a_body_that_nobody_buffered_is_refused_and_is_not_empty(rig: Rig) -> None:
    target = "/v1/wallets/unbuffered/bound"
    for headers, sent in (([], BODY), ([CHUNKED], b"24\r\n" + BODY + b"\r\n0\r\n\r\n")):
        for body in (BODY, b""):
            token = bound(rig, body, path=target)
            answer = rig.call(listener="routes", token=token, target=target, body=sent, headers=headers)
            assert (answer.outcome, answer.deliveries) == ((400, "body_incomplete"), [])


def test_no_body_at_all_is_empty_on_the_routes_own_word_alone(rig: Rig) -> None:
    assert rig.call(token=bound(rig, b""), target=BOUND).outcome == (400, "body_incomplete")
    target = "/v1/wallets/w-17/digest"
    assert rig.call(token=bound(rig, b"", path=target), target=target).status == 200
    assert rig.call(token=bound(rig, BODY, path=target), target=target).outcome == (401, "request_mismatch")


def test_bytes_that_envoy_replaced_are_not_the_body(rig: Rig) -> None:
    """Without ``pack_as_bytes`` bytes that are no UTF-8 arrive as ``!``, also in a body that was written with them."""
    for body in (b"\xff\xfe\x00abc", b"!!\x00abc", '{"name": "Zoë"}'.encode()):
        for digest_of in (body, b"!!\x00abc"):
            answer = rig.call(listener="string-body", token=bound(rig, digest_of), target=BOUND, body=body)
            assert (answer.outcome, answer.deliveries) == ((400, "body_not_binary_safe"), [])
    assert rig.call(listener="string-body", token=bound(rig, BODY), target=BOUND, body=BODY).status == 200


@pytest.mark.parametrize("name", ["htm", "htp", "digest"])
def test_a_route_that_asks_for_all_of_it_takes_no_token_for_less(rig: Rig, name: str) -> None:
    claims = {"htm": "POST", "htp": BOUND, "digest": b64(hashlib.sha256(BODY).digest())}
    answer = rig.call(token=rig.good(**(claims | {name: None})), target=BOUND, body=BODY)
    assert answer.outcome == (401, "token_unbound")


def test_an_amount_up_to_the_mandates_passes_and_a_cent_more_does_not(rig: Rig) -> None:
    assert pay(rig, BODY).delivery.body == BODY
    assert pay(rig, BODY.replace(b"12.50", b"12.51")).outcome == (403, "amount_exceeded")
    assert pay(rig, BODY, limit="12.49").outcome == (403, "amount_exceeded")


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b'{"amount": 1250e-2, "currency": "EUR"}', (403, "amount_unreadable")),
        (b'{"amount": -1, "currency": "EUR"}', (403, "amount_unreadable")),
        (b'{"amount": 1, "currency": "JPY"}', (403, "amount_unreadable")),
        (b'{"currency": "EUR"}', (403, "amount_unreadable")),
        (b'{"amount": 1, "amount": 9000, "currency": "EUR"}', (400, "body_malformed")),
        (b'{"amount": NaN, "currency": "EUR"}', (400, "body_malformed")),
        (b"[" * 60_000, (400, "body_malformed")),
        (b"9" * 60_000, (400, "body_malformed")),
        (b"\xff" + BODY, (400, "body_malformed")),
        (b"amount=1", (400, "body_malformed")),
        (b"", (400, "body_incomplete")),
    ],
    ids=lambda value: value[:24].hex() if isinstance(value, bytes) else None,
)
def test_an_amount_that_cannot_be_read_exactly_is_refused(rig: Rig, body: bytes, outcome: tuple[int, str]) -> None:
    answer = pay(rig, body)
    assert answer.outcome == outcome
    assert answer.deliveries == []


def test_an_amount_that_was_not_seen_whole_is_refused(rig: Rig) -> None:
    padded = BODY[:-1] + b', "note": "' + b"x" * 100 + b'"}'
    assert pay(rig, padded, listener="partial-body").outcome == (400, "body_incomplete")


def test_the_audit_says_no_more_than_the_reason(rig: Rig) -> None:
    answer = pay(rig, BODY, limit="1")
    [line] = rig.audit(answer.reply.header("x-ott-decision-id") or "?")
    assert (line["reason"], line["token_state"]) == ("amount_exceeded", "unspent")
    assert "12.50" not in json.dumps(line)


# --- a mandate as the credential

MANDATED = "/v1/mandated"


def carried(rig: Rig, *, typ: str = "at+jwt", **claims: Any) -> list[tuple[str, str]]:
    details = {"authorization_details": [{"type": "mandate", "cidr": "127.0.0.0/8"}]}
    token = rig.forge.signed(rig.forge.claims(**(details | claims)), {"typ": typ})
    return [("authorization", f"Bearer {token}")]


def test_a_mandate_passes_again_and_never_reaches_the_upstream(rig: Rig) -> None:
    headers = [*carried(rig, act={"sub": "jackpot", "act": {"sub": "lobby"}}), ("x-ott-actor", "admin")]
    for _ in range(3):
        answer = rig.call(target=MANDATED, headers=headers)
        assert answer.outcome == (200, None)
        assert answer.delivery.all("authorization") == []
        assert answer.delivery.all("x-ott-actor") == ["jackpot"]


def test_who_acts_is_our_word_alone(rig: Rig) -> None:
    answer = rig.call(target=MANDATED, headers=[*carried(rig), ("x-ott-actor", "admin")])
    assert answer.outcome == (200, None)
    assert answer.delivery.all("x-ott-actor") == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"typ": "ott+jwt"}, "token_type_refused"),
        ({"authorization_details": None}, "mandate_missing"),
        ({"cnf": None}, "token_unbound"),
        ({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}, "credential_scheme_refused"),
        ({"aud": ["wallet.api", "bank.api"]}, "token_claims_invalid"),
        ({"exp": 1}, "token_lifetime_too_long"),
        ({"act": {"client_id": "jackpot"}}, "token_claims_invalid"),
    ],
)
def test_what_is_no_mandate_of_this_caller_is_refused(rig: Rig, changes: dict[str, Any], reason: str) -> None:
    answer = rig.call(target=MANDATED, headers=carried(rig, **changes))
    assert (answer.outcome, answer.deliveries) == ((401, reason), [])
    assert dict(answer.reply.headers)["www-authenticate"] == 'Bearer realm="wallet.api", error="invalid_token"'


def test_a_mandate_and_a_one_time_token_never_pass_for_each_other(rig: Rig) -> None:
    bearer = carried(rig)
    mandate = bearer[0][1].removeprefix("Bearer ")
    assert rig.call(token=mandate).outcome == (401, "token_type_refused")
    assert rig.call(token=rig.good(), target=MANDATED).outcome == (401, "credential_missing")
    assert rig.call(target=MANDATED, headers=bearer, caller="thief").outcome == (401, "certificate_mismatch")
    assert rig.call(target=MANDATED, headers=bearer).status == 200


def test_each_use_of_a_mandate_is_charged(rig: Rig) -> None:
    counted = {"type": "mandate", "identifier": rig.good()[-40:], "rate_limit": {"count": 2, "per": "1h"}}
    headers = carried(rig, authorization_details=[counted])
    found = [rig.call(target=MANDATED, headers=headers).outcome for _ in range(3)]
    assert found == [(200, None), (200, None), (429, "rate_limited")]
