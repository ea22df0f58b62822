"""A mandate is an access token (RFC 9068) with a mandate in it, and no one-time token is ever taken for one."""

from typing import Any

import pytest

from ott_extauthz.authn.access_token import AccessTokenVerifier
from ott_extauthz.authn.one_time_token import OneTimeTokenVerifier
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import TokenKind, VerifiedToken
from tests.fakes.issuer import AUDIENCE, ISSUER, NOW_MS, FakeIssuer

FAKE = FakeIssuer()
TRUST = {ISSUER: FAKE.trusted()}
VERIFIER = AccessTokenVerifier(trust=TRUST, iat_lead_ms=500, exp_leeway_ms=2000)
ONE_TIME = OneTimeTokenVerifier(trust=TRUST, iat_lead_ms=500, exp_leeway_ms=2000)
DETAILS = [{"type": "mandate", "max_amount": {"value": "50", "currency": "EUR"}}]


def signed(type_: str | None = "at+jwt", **changes: Any) -> str:
    claims = FAKE.claims(**({"authorization_details": DETAILS} | changes))
    return FAKE.token(claims, {"typ": type_})


def verified(text: str) -> VerifiedToken | Rejection:
    return VERIFIER.verify_mandate(text, audience=AUDIENCE, now_ms=NOW_MS)


@pytest.mark.parametrize("type_", ["at+jwt", "AT+JWT", "application/at+jwt"])
def test_a_mandate_is_believed(type_: str) -> None:
    token = verified(signed(type_))
    assert isinstance(token, VerifiedToken)
    assert (token.kind, token.is_for_one_use, token.actor) == (TokenKind.ACCESS, False, None)


@pytest.mark.parametrize("type_", ["ott+jwt", "JWT", "txntoken+jwt", "at+jwt ", "at", None])
def test_no_other_kind_of_token_passes_for_a_mandate(type_: str | None) -> None:
    assert verified(signed(type_)) == Rejection(Reason.TOKEN_TYPE_REFUSED)


def test_a_mandate_never_passes_for_a_one_time_token() -> None:
    found = ONE_TIME.verify(signed(), audience=AUDIENCE, now_ms=NOW_MS)
    assert found == Rejection(Reason.TOKEN_TYPE_REFUSED)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"authorization_details": None}, Reason.MANDATE_MISSING),
        ({"authorization_details": None, "region": "EU"}, Reason.MANDATE_MISSING),
        ({"authorization_details": [{"type": "payment"}]}, Reason.MANDATE_MISSING),
        ({"authorization_details": []}, Reason.TOKEN_CLAIMS_INVALID),
        ({"aud": "bank.api"}, Reason.TOKEN_AUDIENCE_MISMATCH),
        ({"aud": ["bank.api"]}, Reason.TOKEN_AUDIENCE_MISMATCH),
        ({"aud": [AUDIENCE, "bank.api"]}, Reason.TOKEN_CLAIMS_INVALID),
        ({"aud": []}, Reason.TOKEN_CLAIMS_INVALID),
        ({"aud": [[AUDIENCE]]}, Reason.TOKEN_CLAIMS_INVALID),
        ({"aud": None}, Reason.TOKEN_CLAIMS_INVALID),
        ({"sub": None}, Reason.TOKEN_CLAIMS_INVALID),
        ({"client_id": None}, Reason.TOKEN_CLAIMS_INVALID),
        ({"jti": None}, Reason.TOKEN_CLAIMS_INVALID),
        ({"jti": ""}, Reason.TOKEN_CLAIMS_INVALID),
        ({"iat": None}, Reason.TOKEN_CLAIMS_INVALID),
        ({"exp": None}, Reason.TOKEN_CLAIMS_INVALID),
        ({"exp": NOW_MS / 1000 + 301}, Reason.TOKEN_LIFETIME_TOO_LONG),
        ({"iat": NOW_MS / 1000 - 60, "exp": NOW_MS / 1000 - 3}, Reason.TOKEN_EXPIRED),
        ({"iss": "https://other.example"}, Reason.TOKEN_ISSUER_UNKNOWN),
    ],
)
def test_what_is_no_mandate_is_refused(changes: dict[str, Any], reason: Reason) -> None:
    assert verified(signed(**changes)) == Rejection(reason)


def test_one_audience_may_stand_in_a_list_and_a_foreign_jti_may_be_short() -> None:
    token = verified(signed(aud=[AUDIENCE], jti="1"))
    assert isinstance(token, VerifiedToken)
    assert token.audience == AUDIENCE


def test_a_one_time_token_is_held_to_more_than_a_mandate() -> None:
    for changes in ({"aud": [AUDIENCE]}, {"jti": "1"}):
        token = FAKE.token(FAKE.claims(**changes))
        assert ONE_TIME.verify(token, audience=AUDIENCE, now_ms=NOW_MS) == Rejection(Reason.TOKEN_CLAIMS_INVALID)
