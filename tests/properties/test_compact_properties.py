"""The compact JWS parser: never raises, never accepts what the strict grammar refuses, and loses nothing."""

import base64
import json
import re

from hypothesis import given
from hypothesis import strategies as st

from ott_extauthz.authn.base64url import decoded, encoded
from ott_extauthz.authn.compact import UnverifiedToken, unverified_from
from ott_extauthz.authn.inspect import inspect_token
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.token import MAX_TOKEN_BYTES

GRAMMAR = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
HEADER = st.fixed_dictionaries({"alg": st.text(max_size=8), "kid": st.text(max_size=20), "typ": st.text(max_size=12)})
CLAIMS = st.dictionaries(st.text(max_size=10), JSON, max_size=6)


def compact(header: object, claims: object, signature: bytes) -> str:
    return ".".join(encoded(json.dumps(part).encode()) for part in (header, claims)) + "." + encoded(signature)


@given(st.binary(max_size=200))
def test_base64url_round_trips_and_agrees_with_the_standard_library(raw: bytes) -> None:
    assert encoded(raw) == base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    assert decoded(encoded(raw)) == raw


@given(st.text(max_size=60))
def test_base64url_has_one_spelling_for_each_value(text: str) -> None:
    raw = decoded(text)
    assert raw is None or encoded(raw) == text


@given(st.text(max_size=300))
def test_no_text_raises(text: str) -> None:
    result = unverified_from(text)
    assert isinstance(result, UnverifiedToken | Reason)
    if isinstance(result, UnverifiedToken):
        assert GRAMMAR.fullmatch(text)
    inspect_token(text, 0)


@given(HEADER, CLAIMS, st.binary(min_size=1, max_size=80))
def test_what_was_put_in_comes_out(header: dict[str, str], claims: dict[str, object], signature: bytes) -> None:
    text = compact(header, claims, signature)
    result = unverified_from(text)
    assert isinstance(result, UnverifiedToken)
    assert (result.header.algorithm, result.header.kid) == (header["alg"], header["kid"])
    assert result.claims == claims
    assert result.signature == signature
    assert result.signing_input.decode() == text.rpartition(".")[0]


@given(HEADER, CLAIMS, st.binary(min_size=1, max_size=80), st.data())
def test_what_breaks_the_grammar_is_refused(
    header: dict[str, str], claims: dict[str, object], signature: bytes, data: st.DataObject
) -> None:
    text = compact(header, claims, signature)
    index = data.draw(st.integers(0, len(text)))
    inserted = data.draw(st.characters())
    mutated = text[:index] + inserted + text[index:]
    if not GRAMMAR.fullmatch(mutated):
        assert isinstance(unverified_from(mutated), Reason)


@given(st.integers(MAX_TOKEN_BYTES + 1, MAX_TOKEN_BYTES + 50))
def test_too_large_is_refused_unread(size: int) -> None:
    assert unverified_from("a" * size) is Reason.TOKEN_TOO_LARGE
