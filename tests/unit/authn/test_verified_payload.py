"""Envoy's word for a token: attacks with metadata that is absent, partial, of another token, or nearly the same."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ott_extauthz.authn.access_token import AccessTokenVerifier
from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.authn.one_time_token import OneTimeTokenVerifier
from ott_extauthz.authn.verified_payload import USUAL_PLACE, EnvoysWord, is_same
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import VerifiedToken
from tests.fakes.issuer import AUDIENCE, ISSUER, NOW_MS, FakeIssuer

NAMESPACE = "envoy.filters.http.jwt_authn"
ISSUED = FakeIssuer()
KEYLESS = {ISSUER: TrustedIssuer(ISSUER, frozenset({"EdDSA"}), {})}
"""Envoy has the keys; ours are never asked for."""

VERIFIER = OneTimeTokenVerifier(trust=KEYLESS, iat_lead_ms=500, exp_leeway_ms=2000)
HEADER = {"alg": "EdDSA", "kid": "k1", "typ": "ott+jwt"}


def told(value: Any) -> Any:
    """JSON as metadata has it: every number a float."""
    if isinstance(value, dict):
        return {name: told(each) for name, each in value.items()}
    if isinstance(value, list):
        return [told(each) for each in value]
    return float(value) if type(value) is int else value


def metadata(claims: dict[str, Any], header: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    return {NAMESPACE: {"ott_payload": told(claims), "ott_header": told(HEADER if header is None else header)}}


def unsigned(claims: dict[str, Any], header: dict[str, Any] | None = None) -> str:
    """What an attacker can write: everything but a signature of the issuer."""
    return FakeIssuer(seed=b"\x09" * 32).token(claims, header)


def judged(
    text: str,
    of: dict[str, dict[str, Any]],
    *,
    issuers: frozenset[str] | None = None,
    word: EnvoysWord = USUAL_PLACE,
) -> VerifiedToken | Reason:
    found = VERIFIER.verify(text, audience=AUDIENCE, now_ms=NOW_MS, signature=word.on(of, issuers))
    return found.reason if isinstance(found, Rejection) else found


def test_a_token_that_envoy_verified_is_believed() -> None:
    claims = ISSUED.claims(
        authorization_details=[{"type": "mandate", "max_amount": {"value": "5", "currency": "EUR"}}],
        act={"sub": "zoë", "n": None, "list": [1, 2.5, True]},
    )
    found = judged(ISSUED.token(claims), metadata(claims))
    assert isinstance(found, VerifiedToken)
    assert found.claims == claims


def test_a_token_without_metadata_is_refused() -> None:
    claims = ISSUED.claims()
    complete = metadata(claims)[NAMESPACE]
    cases: list[dict[str, dict[str, Any]]] = [
        {},
        {NAMESPACE: {}},
        {NAMESPACE: {"ott_payload": complete["ott_payload"]}},
        {NAMESPACE: {"ott_header": complete["ott_header"]}},
        {NAMESPACE: {"payload": complete["ott_payload"], "header": complete["ott_header"]}},
        {NAMESPACE: {**complete, "ott_payload": json.dumps(claims)}},
        {NAMESPACE: {**complete, "ott_payload": [complete["ott_payload"]]}},
        {NAMESPACE: {**complete, "ott_header": "EdDSA"}},
        {NAMESPACE: {**complete, "ott_header": {**HEADER, "kid": 1.0}}},
        {"envoy.filters.http.header_to_metadata": complete},
        {"envoy.lb": complete},
    ]
    for of in cases:
        assert judged(ISSUED.token(claims), of) is Reason.VERIFIED_PAYLOAD_MISSING


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": "admin"},
        {"jti": "A" * 22},
        {"scope": "wallet:debit wallet:admin"},
        {"scope": None},
        {"extra": None},
        {"cnf": None},
        {"exp": NOW_MS / 1000 + 31},
        {"iat": NOW_MS / 1000 + 0.001},
    ],
)
def test_claims_of_another_token_that_envoy_verified_are_not_this_ones(changes: dict[str, Any]) -> None:
    """A good token in another header is the one that `jwt_authn` looked at; ours is unsigned."""
    verified = ISSUED.claims(extra=1)
    assert judged(unsigned(ISSUED.claims(extra=1)), metadata(verified)) is not Reason.VERIFIED_PAYLOAD_MISSING
    presented = {name: value for name, value in (verified | changes).items() if value is not None}
    assert judged(unsigned(presented), metadata(verified)) is Reason.VERIFIED_PAYLOAD_MISSING
    assert judged(unsigned(verified), metadata(presented)) is Reason.VERIFIED_PAYLOAD_MISSING


@pytest.mark.parametrize("header", [{"kid": "k2"}, {"alg": "ES256"}, {"typ": "at+jwt"}, {"typ": None}])
def test_a_header_of_another_token_is_not_this_ones(header: dict[str, Any]) -> None:
    claims = ISSUED.claims()
    verified = {name: value for name, value in (HEADER | header).items() if value is not None}
    assert judged(ISSUED.token(claims), metadata(claims, verified)) is Reason.VERIFIED_PAYLOAD_MISSING


def test_envoy_says_nothing_of_the_kind_of_token() -> None:
    claims = ISSUED.claims()
    header = {"alg": "EdDSA", "kid": "k1", "typ": "at+jwt"}
    assert judged(ISSUED.token(claims, header), metadata(claims, header)) is Reason.TOKEN_TYPE_REFUSED


def test_envoys_issuer_must_be_ours_too() -> None:
    other = FakeIssuer("https://other.example")
    claims = other.claims()
    assert judged(other.token(claims), metadata(claims)) is Reason.TOKEN_ISSUER_UNKNOWN
    claims = ISSUED.claims()
    for issuers, believed in ((frozenset({ISSUER}), True), (frozenset({"https://other.example"}), False)):
        found = judged(ISSUED.token(claims), metadata(claims), issuers=issuers)
        assert isinstance(found, VerifiedToken) is believed
        assert believed or found is Reason.TOKEN_ISSUER_UNKNOWN


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES256", "RS256"])
def test_an_algorithm_that_envoy_takes_and_we_do_not_is_refused(algorithm: str) -> None:
    claims, header = ISSUED.claims(), HEADER | {"alg": algorithm}
    assert judged(ISSUED.token(claims, header), metadata(claims, header)) is Reason.TOKEN_ALGORITHM_REFUSED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "other.api"}, Reason.TOKEN_AUDIENCE_MISMATCH),
        ({"iat": NOW_MS / 1000 - 60, "exp": NOW_MS / 1000 - 30}, Reason.TOKEN_EXPIRED),
        ({"iat": NOW_MS / 1000 + 10}, Reason.TOKEN_NOT_YET_VALID),
        ({"exp": NOW_MS / 1000 + 3000}, Reason.TOKEN_LIFETIME_TOO_LONG),
        ({"jti": "short"}, Reason.TOKEN_CLAIMS_INVALID),
    ],
)
def test_what_envoy_does_not_judge_is_judged(changes: dict[str, Any], reason: Reason) -> None:
    claims = ISSUED.claims(**changes)
    assert judged(ISSUED.token(claims), metadata(claims)) is reason


def test_mandates_take_the_same_way() -> None:
    verifier = AccessTokenVerifier(trust=KEYLESS, iat_lead_ms=500, exp_leeway_ms=2000)
    header = HEADER | {"typ": "at+jwt"}
    for claims, is_mandate in (
        (ISSUED.claims(authorization_details=[{"type": "mandate", "brand": "A"}]), True),
        (ISSUED.claims(), False),
    ):
        check = USUAL_PLACE.on(metadata(claims, header), None)
        text = ISSUED.token(claims, header)
        found = verifier.verify_mandate(text, audience=AUDIENCE, now_ms=NOW_MS, signature=check)
        assert isinstance(found, VerifiedToken) is is_mandate
        assert isinstance(verifier.verify_mandate(text, audience=AUDIENCE, now_ms=NOW_MS), Rejection)


def test_the_place_is_the_operators_choice() -> None:
    claims, word = ISSUED.claims(), EnvoysWord(namespace="n", payload="p", header="h")
    of = {"n": {"p": told(claims), "h": HEADER}}
    assert isinstance(judged(ISSUED.token(claims), of, word=word), VerifiedToken)
    assert judged(ISSUED.token(claims), of) is Reason.VERIFIED_PAYLOAD_MISSING
    assert judged(ISSUED.token(claims), metadata(claims), word=word) is Reason.VERIFIED_PAYLOAD_MISSING


@pytest.mark.parametrize(
    ("own", "other"),
    [
        (1, True), (0, False), (True, 1.0), (False, 0.0), (None, False), (None, ""), ("1", 1.0), (1, "1"),
        ([], {}), ({}, []), ([1], [1.0, 2.0]), ([1, 2], [1.0]), ({"a": 1}, {"a": 1.0, "b": None}), ({"a": None}, {}),
        (2**53 + 1, float(2**53)), (2**53 + 1, float(2**53 + 2)), (0.1, 0.1000000000000001),
        (float("nan"), float("nan")), ("a", "A"), ("e\u0301", "\u00e9"), ([1, 2], [2.0, 1.0]), (10**400, float("inf")),
    ],
)  # fmt: skip
def test_what_is_nearly_the_same_is_not(own: Any, other: Any) -> None:
    assert not is_same(own, other)


_NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False).map(lambda value: value + 0.0)  # 0.0 for -0.0
_JSON = st.recursive(
    st.none() | st.booleans() | _NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(_JSON)
def test_everything_is_what_metadata_tells_of_it(value: Any) -> None:
    assert is_same(value, told(value))


@given(_JSON, _JSON)
def test_nothing_is_what_metadata_tells_of_something_else(first: Any, second: Any) -> None:
    texts = [json.dumps(told(value), sort_keys=True) for value in (first, second)]
    assert is_same(first, told(second)) == (texts[0] == texts[1])
