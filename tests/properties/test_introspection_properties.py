"""Whatever an issuer answers, and whatever a caller brings, the outcome is a token or a refusal; never an exception."""

import json
import string
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ott_extauthz.authn.introspection import (
    AnswerError,
    AnswerRules,
    Introspected,
    introspected_from,
    issuer_of_jwt,
    unsendable,
)
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import VerifiedToken
from tests.fakes.introspection import LOGIN, active
from tests.fakes.issuer import NOW_MS

TEXTS = st.text("aé\0 .-_\ud800", max_size=6) | st.sampled_from(["wallet.api", LOGIN, "Bearer", "x5t#S256", "type"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=4,
)
NAMES = st.sampled_from(
    [*active(), "nbf", "jti", "cnf", "act", "authorization_details", "auth_time", "username", "typ"]
)
RULES = st.builds(
    AnswerRules,
    issuer=st.just(LOGIN),
    may_lack=st.frozensets(st.sampled_from(["aud", "iat", "sub", "token_type"])),
    is_single_use=st.booleans(),
    iat_lead_ms=st.just(500),
    exp_leeway_ms=st.just(2000),
)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_none(document: bytes) -> None:
    try:
        found = introspected_from(document)
    except AnswerError:
        return
    assert json.loads(document)["active"] is (found.members is not None)


@given(RULES, st.dictionaries(NAMES, VALUES, max_size=4), st.frozensets(NAMES, max_size=4))
def test_any_members_make_a_token_for_this_audience_and_this_time_or_none(
    rules: AnswerRules, changes: dict[str, Any], lacking: frozenset[str]
) -> None:
    members = {name: value for name, value in (active() | changes).items() if name not in lacking} | {"active": True}
    answer = introspected_from(json.dumps(members).encode())
    assert isinstance(answer, Introspected)
    found = rules.token("opaque", answer, audience="wallet.api", now_ms=NOW_MS)
    if isinstance(found, Rejection):
        return
    assert isinstance(found, VerifiedToken)
    assert found.id.issuer == LOGIN
    assert found.audience == "wallet.api"
    assert found.expires_at_ms + 2000 > NOW_MS
    assert found.issued_at_ms <= NOW_MS + 500
    assert "aud" in rules.may_lack or "wallet.api" in members["aud"]
    assert answer.ends_at_ms == found.expires_at_ms
    assert found.is_for_one_use is rules.is_single_use


@given(st.text(max_size=60) | st.text(string.ascii_letters + "._-=~", max_size=60))
def test_any_text_is_a_jwt_or_opaque_and_only_tokens_are_sent(text: str) -> None:
    named = issuer_of_jwt(text)
    assert named is None or text.count(".") >= 2
    assert not named or text.count(".") in (2, 4)
    if unsendable(text) is None:
        assert text.isascii()
        assert text.isprintable()
        assert not set(text) & set(" ,\"'&%")
