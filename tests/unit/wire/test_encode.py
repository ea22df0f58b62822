"""No decision becomes a message that Envoy would forward by mistake, and none splits a response."""

import json
from dataclasses import replace

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse

from ott_extauthz.authn.claims import token_from
from ott_extauthz.model.challenge import Challenge
from ott_extauthz.model.decision import Allow, AttachedToken, Decision, Deny, SpentToken
from ott_extauthz.model.reason import REASONS, Reason
from ott_extauthz.model.rejection import TokenState
from ott_extauthz.wire.encode import IDENTITY_HEADERS, last_resort, response_from
from ott_extauthz.wire.header_values import identity_value
from tests.fakes.issuer import FakeIssuer

TOKEN = token_from(FakeIssuer().claims())
ALLOW = Allow(
    decision_id="d1", route="wallet-debit", policy_revision="r1", spent=SpentToken(TOKEN), headers_to_remove=("x-ott",)
)


def deny(reason: Reason) -> Deny:
    return Deny(
        decision_id="d1",
        reason=reason,
        policy_revision="r1",
        route="wallet-debit",
        token=TOKEN,
        token_state=TokenState.UNSPENT,
        challenges=(Challenge("OTT", "wallet.api", "invalid_token"),),
        retry_after_seconds=1,
    )


def is_forwarded_by_envoy(response: CheckResponse) -> bool:
    """Seen with Envoy 1.40: status 0 forwards, whatever else the message holds."""
    return bool(response.status.code == 0)


def set_headers(response: CheckResponse) -> dict[str, str]:
    options = response.ok_response.headers if response.HasField("ok_response") else response.denied_response.headers
    names = [option.header.key for option in options]
    assert len(names) == len(set(names)), "one entry per header name"
    return {option.header.key: option.header.value for option in options}


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("is_grpc", [False, True])
@pytest.mark.parametrize("expose_reason", [False, True])
def test_every_refusal_is_one_that_envoy_enforces(reason: Reason, *, is_grpc: bool, expose_reason: bool) -> None:
    response = response_from(deny(reason), is_grpc=is_grpc, expose_reason=expose_reason)
    assert not is_forwarded_by_envoy(response)
    assert response.HasField("denied_response")
    assert 400 <= response.denied_response.status.code <= 599
    headers = set_headers(response)
    assert ("x-ott-reason" in headers) == expose_reason
    assert headers["www-authenticate"] == 'OTT realm="wallet.api", error="invalid_token"'
    assert headers["retry-after"] == "1"
    assert response.dynamic_metadata.fields["reason"].string_value == reason
    assert reason not in response.denied_response.body, "the body shows the family, never the exact reason"


def test_the_last_resort_is_a_refusal() -> None:
    assert not is_forwarded_by_envoy(last_resort())
    assert last_resort().denied_response.status.code == 503


def test_an_empty_message_would_open_the_gate() -> None:
    """Why the constructors exist: this is what a handler that forgets to answer would send."""
    assert is_forwarded_by_envoy(CheckResponse())


def test_a_problem_has_the_fields_clients_act_on() -> None:
    body = json.loads(
        response_from(deny(Reason.TOKEN_REPLAYED), is_grpc=False, expose_reason=False).denied_response.body
    )
    assert body == {
        "type": "urn:ott-extauthz:problem:token-replayed",
        "title": "Token replayed",
        "status": 401,
        "code": "TOKEN_REPLAYED",
        "decision_id": "d1",
        "token_state": "unspent",
    }


def test_a_grpc_refusal_is_short_ascii() -> None:
    body = response_from(deny(Reason.SCOPE_MISSING), is_grpc=True, expose_reason=False).denied_response.body
    assert body == "SCOPE_DENIED decision_id=d1"


def test_an_allow_sets_or_removes_every_identity_header() -> None:
    for allow in (ALLOW, replace(ALLOW, spent=None), replace(ALLOW, headers_to_remove=("x-ott-subject",))):
        response = response_from(allow, is_grpc=False, expose_reason=False)
        is_set, removed = set(set_headers(response)), set(response.ok_response.headers_to_remove)
        assert is_set | removed >= {*IDENTITY_HEADERS, "x-ott"}
        assert not is_set & removed, "Envoy removes after it sets"
        assert not any(option.append.value for option in response.ok_response.headers), "append is dropped when absent"


def test_a_spoofed_header_we_never_set_is_removed_too() -> None:
    response = response_from(replace(ALLOW, headers_to_remove=("x-ott-evil",)), is_grpc=False, expose_reason=False)
    assert "x-ott-evil" in response.ok_response.headers_to_remove


def test_an_allow_tells_the_upstream_who_called() -> None:
    headers = set_headers(response_from(ALLOW, is_grpc=False, expose_reason=False))
    assert headers == {
        "x-ott-decision-id": "d1",
        "x-ott-subject": "spiffe://bank.example/rgs",
        "x-ott-client": "rgs",
        "x-ott-scope": "wallet:debit",
        "x-ott-token-id": TOKEN.public_id,
        "x-ott-txn": "txn-1",
        "x-ott-policy-revision": "r1",
    }
    assert TOKEN.id.jti not in str(headers)


def test_a_public_route_carries_no_identity() -> None:
    headers = set_headers(response_from(replace(ALLOW, spent=None), is_grpc=False, expose_reason=False))
    assert headers == {"x-ott-decision-id": "d1", "x-ott-policy-revision": "r1"}


@pytest.mark.parametrize("would_be", [deny(Reason.SCOPE_MISSING), replace(ALLOW, spent=None)])
def test_a_route_in_shadow_carries_no_identity_and_tells_envoy_what_it_would_have_said(would_be: Decision) -> None:
    response = response_from(replace(ALLOW, spent=None, would_be=would_be), is_grpc=False, expose_reason=True)
    assert set(set_headers(response)) == {"x-ott-decision-id", "x-ott-policy-revision"}
    assert {*IDENTITY_HEADERS, "x-ott"} - set(set_headers(response)) <= set(response.ok_response.headers_to_remove)
    metadata = dict(response.dynamic_metadata)
    assert metadata["shadow_outcome"] == ("deny" if isinstance(would_be, Deny) else "allow")
    assert metadata.get("shadow_reason") == ("scope_missing" if isinstance(would_be, Deny) else None)
    assert "subject" not in metadata


@pytest.mark.parametrize("expose_reason", [False, True])
def test_a_client_learns_the_revision_only_where_it_learns_the_reason(*, expose_reason: bool) -> None:
    response = response_from(deny(Reason.SCOPE_MISSING), is_grpc=False, expose_reason=expose_reason)
    assert set_headers(response).get("x-ott-policy-revision") == ("r1" if expose_reason else None)
    assert dict(response.dynamic_metadata)["policy_revision"] == "r1"


@pytest.mark.parametrize("text", ["a\r\nx-admin: 1", "ad\u200bmin", "jörg", "50%", "a b", " admin", "\x00", "\x7f"])
def test_identity_values_are_plain_and_never_collide(text: str) -> None:
    value = identity_value(text)
    assert value.isascii()
    assert value.isprintable()
    assert " " not in value
    assert value not in {"admin", "50", "a", "ab", "jrg"}
    assert identity_value(value) != value, "the percent sign is encoded too, so nothing decodes to another's value"


def test_no_emitted_value_holds_a_line_break() -> None:
    evil = replace(deny(Reason.SCOPE_MISSING), challenges=(Challenge("OTT", 'a"\r\nx-inj: 1'),))
    value = set_headers(response_from(evil, is_grpc=False, expose_reason=False))["www-authenticate"]
    assert "\r" not in value
    assert "\n" not in value


def test_a_status_that_is_no_refusal_cannot_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    meaning = replace(REASONS[Reason.TOKEN_REPLAYED], status=200)
    monkeypatch.setattr(Deny, "meaning", property(lambda _: meaning))
    with pytest.raises(ValueError, match="200"):
        response_from(deny(Reason.TOKEN_REPLAYED), is_grpc=False, expose_reason=False)


def test_the_actor_is_named_and_nobody_elses_word_for_it_stays() -> None:
    acted = replace(ALLOW, spent=SpentToken(replace(TOKEN, actor="jackpot\r\nx: y")))
    response = response_from(acted, is_grpc=False, expose_reason=False)
    assert set_headers(response)["x-ott-actor"] == identity_value("jackpot\r\nx: y")
    assert "x-ott-actor" not in response.ok_response.headers_to_remove
    assert response.dynamic_metadata.fields["actor"].string_value == "jackpot\r\nx: y"
    for nobody in (ALLOW, replace(ALLOW, spent=None)):
        response = response_from(nobody, is_grpc=False, expose_reason=False)
        assert "x-ott-actor" in response.ok_response.headers_to_remove
        assert "actor" not in response.dynamic_metadata.fields


ATTACHED = AttachedToken(
    text="a.b.c", header="x-ott", scheme=None, audience="wallet.api", public_id="id", certificate="x5t"
)
LEAVES = Allow(
    decision_id="d1",
    route="to-wallet",
    policy_revision="r1",
    spent=None,
    headers_to_remove=("x-ott", "x-ott-subject", "x-ott-new"),
    attached=ATTACHED,
)


@pytest.mark.parametrize(
    ("header", "scheme", "value"), [("x-ott", None, "a.b.c"), ("authorization", "Bearer", "Bearer a.b.c")]
)
def test_an_attached_token_is_set_once_and_never_also_removed(header: str, scheme: str | None, value: str) -> None:
    """Envoy removes after it sets; what the workload sent under the name is overwritten."""
    decision = replace(LEAVES, attached=replace(ATTACHED, header=header, scheme=scheme))
    ok = response_from(decision, is_grpc=False, expose_reason=False).ok_response
    assert [(option.header.key, option.header.value) for option in ok.headers] == [(header, value)]
    assert set(ok.headers_to_remove) == {"x-ott", "x-ott-new", *IDENTITY_HEADERS} - {header}


def test_an_attached_token_stands_in_its_header_and_nowhere_else() -> None:
    response = response_from(LEAVES, is_grpc=False, expose_reason=True)
    fields = {name: value.string_value for name, value in response.dynamic_metadata.fields.items()}
    assert fields["attached_audience"] == "wallet.api"
    assert (fields["token_id"], fields["attached_certificate"]) == ("id", "x5t")
    assert "a.b.c" not in str(response.dynamic_metadata) + repr(LEAVES)
