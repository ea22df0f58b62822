"""What an issuer says of a token, lies and carelessness included."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.introspection import (
    INACTIVE,
    MAX_ANSWER_BYTES,
    AnswerError,
    AnswerRules,
    Introspected,
    introspected_from,
    issuer_of_jwt,
    unsendable,
)
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import MAX_TOKEN_BYTES, TokenKind, VerifiedToken
from tests.fakes.issuer import FakeIssuer

NOW_MS = 1_795_000_000_000
NOW = NOW_MS // 1000
TEXT = "2YotnFZFEjr1zCsicMWpAA"
LOGIN = "https://login.bank.example"
RULES = AnswerRules(issuer=LOGIN, iat_lead_ms=500, exp_leeway_ms=2000)


def members(**changes: Any) -> dict[str, Any]:
    good = {
        "active": True,
        "iss": LOGIN,
        "sub": "player-7",
        "client_id": "rgs",
        "aud": "wallet.api",
        "iat": NOW - 60,
        "exp": NOW + 3600,
        "scope": "wallet:debit wallet:read",
        "token_type": "Bearer",
        "username": "Zoë",
    } | changes
    return {name: value for name, value in good.items() if value is not ...}


def judged(rules: AnswerRules = RULES, now_ms: int = NOW_MS, **changes: Any) -> VerifiedToken | Reason:
    document = json.dumps(members(**changes)).encode()
    found = rules.token(TEXT, introspected_from(document), audience="wallet.api", now_ms=now_ms)
    return found.reason if isinstance(found, Rejection) else found


def token(rules: AnswerRules = RULES, **changes: Any) -> VerifiedToken:
    found = judged(rules, **changes)
    assert isinstance(found, VerifiedToken), found
    return found


# --- the document


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html><body>login</body></html>",
        b"[true]",
        b"true",
        b'{"active": "true"}',
        b'{"active": 1}',
        b'{"active": null}',
        b'{"sub": "player-7"}',
        b'{"active": false, "active": true}',
        b'{"active": true, "scope": "a", "scope": "b"}',
        b'{"active": true, "exp": NaN}',
        b'{"active": true} {}',
        b'{"active": tru',
        b'{"active": true, "sub": "\xff"}',
        b'{"active": ' + b"[" * 100_000,
        json.dumps(members(padding="x" * MAX_ANSWER_BYTES)).encode(),
    ],
)
def test_what_is_no_answer_is_never_taken_for_one(document: bytes) -> None:
    with pytest.raises(AnswerError) as caught:
        introspected_from(document)
    assert "player" not in str(caught.value)


def test_nothing_beside_inactive_is_read() -> None:
    assert introspected_from(json.dumps(members(active=False)).encode()) is INACTIVE
    assert judged(active=False) is Reason.TOKEN_INACTIVE


def test_an_answer_says_nothing_of_itself_in_a_log() -> None:
    assert "player-7" not in repr(introspected_from(json.dumps(members()).encode()))


@pytest.mark.parametrize("exp", [..., "soon", True, 0, -1, 1e300])
def test_an_end_that_cannot_be_read_is_none(exp: Any) -> None:
    assert introspected_from(json.dumps(members(exp=exp)).encode()).ends_at_ms is None
    assert judged(exp=exp) is Reason.TOKEN_CLAIMS_INVALID


def test_the_end_is_told_in_milliseconds() -> None:
    assert Introspected(members(exp=NOW + 1.5)).ends_at_ms == NOW_MS + 1500


# --- the token


def test_a_good_answer_is_an_access_token() -> None:
    found = token(jti="17", cnf={"x5t#S256": encoded(bytes(32))}, auth_time=NOW - 120, act={"sub": "agent"})
    assert (found.kind, found.subject, found.client_id, found.audience) == (
        TokenKind.ACCESS,
        "player-7",
        "rgs",
        "wallet.api",
    )
    assert found.scope == {"wallet:debit", "wallet:read"}
    assert (found.id.issuer, found.id.jti) == (LOGIN, "17")
    assert found.confirmation.x5t_s256 == bytes(32)
    assert (found.auth_time_ms, found.actor) == (NOW_MS - 120_000, "agent")
    assert found.claims["username"] == "Zoë"


def test_what_names_a_token_is_its_text_and_not_what_the_answer_calls_it() -> None:
    """Else an issuer that numbers its tokens anew would have one spent for another."""
    one = token(jti="17")
    other = RULES.token(TEXT + "B", Introspected(members(jti="17")), audience="wallet.api", now_ms=NOW_MS)
    assert isinstance(other, VerifiedToken)
    assert one.digest != other.digest
    assert token(jti="18").digest == one.digest == token().digest
    assert TEXT not in token().id.jti


def test_another_issuers_answer_is_none_of_this_one() -> None:
    assert judged(iss="https://evil.example") is Reason.TOKEN_ISSUER_UNKNOWN
    assert judged(iss=None) is Reason.TOKEN_ISSUER_UNKNOWN
    assert token(iss=...).id.issuer == LOGIN


@pytest.mark.parametrize("changes", [
    {"token_type": ...},  # how oidc-provider tells of a refresh token
    {"token_type": "refresh_token"},
    {"token_type": "N_A"},
    {"token_type": ["Bearer"]},
    {"token_use": "refresh_token"},  # how Hydra does
    {"typ": "Refresh"},  # how Keycloak does
    {"typ": "ID"},
    {"typ": ["Bearer"]},
])  # fmt: skip
def test_a_refresh_token_is_no_access_token_though_it_is_active(changes: dict[str, Any]) -> None:
    assert judged(**changes) is Reason.TOKEN_TYPE_REFUSED


def test_the_type_reads_the_same_in_any_case() -> None:
    odd: dict[str, Any] = {"token_type": "bEaReR", "token_use": "access_token", "typ": "Bearer"}
    assert token(**odd).subject == "player-7"


def test_a_dpop_token_is_bound_or_refused() -> None:
    dpop: dict[str, Any] = {"token_type": "DPoP"}
    assert judged(**dpop) is Reason.TOKEN_CLAIMS_INVALID
    assert token(**dpop, cnf={"jkt": encoded(bytes(32))}).confirmation.jkt == bytes(32)


@pytest.mark.parametrize("name", ["aud", "iat", "sub", "exp", "client_id"])
def test_an_answer_that_lacks_what_we_need_is_refused(name: str) -> None:
    lacking: dict[str, Any] = {name: ...}
    assert judged(**lacking) is Reason.TOKEN_CLAIMS_INVALID


@pytest.mark.parametrize("name", ["exp", "client_id"])
def test_no_operator_can_do_without_an_end_and_a_client(name: str) -> None:
    rules = AnswerRules(issuer=LOGIN, may_lack=frozenset({name}), iat_lead_ms=0, exp_leeway_ms=0)
    lacking: dict[str, Any] = {name: ...}
    assert judged(rules, **lacking) is Reason.TOKEN_CLAIMS_INVALID


def test_what_the_operator_does_without_is_stood_in_for_on_the_safe_side() -> None:
    lax = AnswerRules(
        issuer=LOGIN, may_lack=frozenset({"aud", "iat", "sub", "token_type"}), iat_lead_ms=500, exp_leeway_ms=2000
    )
    found = token(lax, aud=..., iat=..., sub=..., token_type=...)
    assert (found.audience, found.subject, found.issued_at_ms) == ("wallet.api", "rgs", 1000)
    assert {"aud", "iat", "sub", "token_type"}.isdisjoint(found.claims)
    # What is there still counts.
    assert judged(lax, aud="ledger.api") is Reason.TOKEN_AUDIENCE_MISMATCH
    assert judged(lax, aud=None) is Reason.TOKEN_CLAIMS_INVALID
    assert judged(lax, iat=NOW + 60) is Reason.TOKEN_NOT_YET_VALID
    refresh: dict[str, Any] = {"token_type": "refresh_token"}
    assert judged(lax, **refresh) is Reason.TOKEN_TYPE_REFUSED


def test_a_budget_counts_from_a_day_that_is_known() -> None:
    lax = AnswerRules(issuer=LOGIN, may_lack=frozenset({"iat"}), iat_lead_ms=500, exp_leeway_ms=2000)
    budget = {"type": "mandate", "identifier": "b1", "budget": {"count": 5, "since": NOW - 90, "until": NOW + 60}}
    assert token(lax, authorization_details=[budget]).mandates[0].budget is not None
    assert judged(lax, iat=..., authorization_details=[budget]) is Reason.TOKEN_CLAIMS_INVALID


@pytest.mark.parametrize("aud", ["ledger.api", "WALLET.API", "wallet.api ", ["ledger.api"]])
def test_a_token_for_others_is_refused(aud: Any) -> None:
    assert judged(aud=aud) is Reason.TOKEN_AUDIENCE_MISMATCH


def test_one_of_several_audiences_is_ours() -> None:
    assert token(aud=["account", "wallet.api"]).audience == "wallet.api"
    assert judged(aud=["account", "ledger.api"]) is Reason.TOKEN_AUDIENCE_MISMATCH
    for none in ([], [["wallet.api"]], [None], {"wallet.api": 1}, ["wallet.api", 7], ["wallet.api"] * 17):
        assert judged(aud=none) is Reason.TOKEN_CLAIMS_INVALID


def test_an_audience_may_go_by_another_name_there() -> None:
    names = {"wallet.api": frozenset({"https://wallet", "wallet-2"})}
    rules = AnswerRules(issuer=LOGIN, audiences=names, iat_lead_ms=0, exp_leeway_ms=0)
    assert token(rules, aud="wallet-2").audience == "wallet.api"
    assert token(rules, aud="https://wallet").audience == "wallet.api"
    assert judged(rules, aud="wallet.api") is Reason.TOKEN_AUDIENCE_MISMATCH


def test_times_are_judged_at_each_check_and_not_when_the_answer_came() -> None:
    exp_ms = NOW_MS + 3_600_000
    assert not isinstance(judged(now_ms=exp_ms + 1999), Reason)
    assert judged(now_ms=exp_ms + 2000) is Reason.TOKEN_EXPIRED
    assert judged(nbf=NOW + 1) is Reason.TOKEN_NOT_YET_VALID
    assert judged(auth_time=NOW + 1) is Reason.TOKEN_NOT_YET_VALID
    assert not isinstance(judged(nbf=NOW + 1, now_ms=NOW_MS + 500), Reason)
    assert judged(iat=NOW + 1) is Reason.TOKEN_NOT_YET_VALID
    assert judged(iat=NOW, exp=NOW) is Reason.TOKEN_LIFETIME_TOO_LONG
    assert not isinstance(judged(iat=NOW - 10**8, exp=NOW + 10**8), Reason)  # its issuer can take it back


@pytest.mark.parametrize("changes", [
    {"scope": ["wallet:debit"]},
    {"scope": "wallet:debit  wallet:read"},
    {"sub": 7},
    {"sub": "a\nb"},
    {"client_id": ""},
    {"username": {"name": "Zoë"}},
    {"jti": 17},
    {"cnf": {}},
    {"cnf": {"x5t#S256": "short"}},
    {"nbf": "now"},
])  # fmt: skip
def test_members_outside_their_grammar_are_refused(changes: dict[str, Any]) -> None:
    assert judged(**changes) is Reason.TOKEN_CLAIMS_INVALID


def test_what_narrows_a_token_narrows_it_here_too() -> None:
    mandate = {"type": "mandate", "max_amount": {"value": "50", "currency": "EUR"}}
    assert len(token(authorization_details=[mandate]).mandates) == 1
    assert token(authorization_details=[{"type": "payment"}]).restrictions != ()


def test_a_token_for_one_use_is_dated_and_short() -> None:
    once = AnswerRules(issuer=LOGIN, is_single_use=True, iat_lead_ms=500, exp_leeway_ms=2000)
    assert token(once, exp=NOW + 240).is_for_one_use
    assert judged(once, exp=NOW + 241) is Reason.TOKEN_LIFETIME_TOO_LONG
    assert judged(once, iat=...) is Reason.TOKEN_CLAIMS_INVALID
    assert not token().is_for_one_use


# --- the text


@pytest.mark.parametrize("text", ["", "a b", "a,b", 'a"b', "a\nb", "é", "a%2Fb", "=", "a=b"])
def test_nobody_is_asked_about_what_no_token_looks_like(text: str) -> None:
    assert unsendable(text) is Reason.TOKEN_MALFORMED


def test_nobody_is_asked_about_a_book() -> None:
    assert unsendable("a" * MAX_TOKEN_BYTES) is None
    assert unsendable("a" * (MAX_TOKEN_BYTES + 1)) is Reason.TOKEN_TOO_LARGE
    assert unsendable("mF_9.B5f-4.1JqM~+/==") is None


def test_a_jwt_is_known_whatever_is_wrong_with_it() -> None:
    """Or one that another issuer signed would be shown to this one."""
    header = encoded(b'{"alg":"none","crit":["x"]}')
    assert issuer_of_jwt(FakeIssuer().token()) == "https://issuer.bank.example"
    assert issuer_of_jwt(f"{header}.e30.") == ""
    assert issuer_of_jwt(f"{header}.{encoded(json.dumps({'iss': LOGIN}).encode())}.") == LOGIN
    assert issuer_of_jwt(f"{encoded(b' { ')}.!.!") is None
    assert issuer_of_jwt(f"""{encoded(b' { "a')}.!.!""") == ""
    assert issuer_of_jwt(f"{header}.a.b.c.d") == ""
    assert issuer_of_jwt(f'{header}.{encoded(b"""{"iss": 7}""")}.x') == ""


@pytest.mark.parametrize("spelled", [
    pytest.param(lambda header: header + "A" * (1 + -len(header) % 4), id="longer-than-base64-can-be"),
    pytest.param(lambda header: header + "A" * (1 + -len(header) % 4) + "B", id="stray-bits"),
    pytest.param(lambda header: header + "==", id="padded"),
    pytest.param(lambda header: header + "/+", id="the-other-alphabet"),
    pytest.param(lambda header: header[:8] + "~" + header[8:], id="a-character-too-many"),
    pytest.param(lambda header: header[:2] + "~" + header[2:], id="a-character-too-many-behind-the-brace"),
    pytest.param(lambda header: "~" + header, id="a-character-in-front"),
])  # fmt: skip
def test_a_jwt_that_is_misspelled_is_not_shown_to_anybody_who_could_spell_it_right(
    spelled: Callable[[str], str],
) -> None:
    header, rest = FakeIssuer().token().split(".", 1)
    assert issuer_of_jwt(f"{spelled(header)}.{rest}") == ""


@pytest.mark.parametrize("more", [".x", ".", ".x.y.z"])
def test_a_jwt_with_a_part_too_many_is_no_opaque_token(more: str) -> None:
    assert issuer_of_jwt(FakeIssuer().token() + more) == ""


@pytest.mark.parametrize("text", [
    TEXT, "a.b", "a.b.c", "a.b.c.d.e", "..", "e30", "e30.e30", "!.b.c", "ya29.c.b0Aaekm1K7", "v1.local.x", "SG.x-1.y_2",
    "e7f0a1b2.c3d4e5f6.0718293a", "e1.e2.e3", "eyQx.9w.7f",  # one in 26 of those in hex begins with a brace
])  # fmt: skip
def test_what_is_no_jwt_is_opaque(text: str) -> None:
    assert issuer_of_jwt(text) is None
