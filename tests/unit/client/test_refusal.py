"""Whose refusal is it?  Only one that says it twice, in a few bytes, is the proxy's."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ott_extauthz.client.refusal import TokenRefused, may_be_refusal, refusal_in_grpc, refusal_in_problem
from ott_extauthz.client.renewal import origin_of

HEADERS = {"x-ott-decision-id": "d-1", "content-type": "application/problem+json", "content-length": "80"}


@pytest.mark.parametrize(
    ("status", "change", "is_one"),
    [
        (401, {}, True),
        (401, {"content-type": "application/problem+json; charset=utf-8"}, True),
        (403, {}, False),
        (200, {}, False),
        (401, {"content-type": "application/json"}, False),
        (401, {"content-length": "4097"}, False),
        (401, {"content-length": "-1"}, False),
        (401, {"content-length": ""}, False),  # chunked: nobody knows how much comes
        (401, {"x-ott-decision-id": None}, False),
    ],
)
def test_which_answers_are_read(status: int, change: dict[str, str | None], is_one: bool) -> None:  # noqa: FBT001 - pytest names it
    headers = {name: value for name, value in (HEADERS | change).items() if value is not None}
    assert may_be_refusal(status, headers) is is_one


@given(st.binary(max_size=200) | st.builds(lambda value: json.dumps(value).encode(), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["code", "decision_id", "x"]), inner),
)))  # fmt: skip
def test_a_body_of_any_kind_is_read_without_a_fault(body: bytes) -> None:
    refused = refusal_in_problem(HEADERS, body)
    assert refused is None or refused == TokenRefused(refused.code, "d-1")


@given(st.text(max_size=100), st.none() | st.text(max_size=20))
def test_a_message_of_any_kind_is_read_without_a_fault(message: str, decision_id: str | None) -> None:
    refused = refusal_in_grpc(message, decision_id)
    assert refused is None or refused.decision_id == decision_id


def test_the_two_must_name_one_decision() -> None:
    body = json.dumps({"code": "TOKEN_EXPIRED", "decision_id": "d-1", "token_state": "unspent"}).encode()
    assert refusal_in_problem(HEADERS, body) == TokenRefused("TOKEN_EXPIRED", "d-1")
    assert refusal_in_problem({"x-ott-decision-id": "d-2"}, body) is None
    assert refusal_in_problem({}, body) is None


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://wallet.api/v1?x=1#f", "https://wallet.api"),
        ("https://wallet.api:443/", "https://wallet.api"),
        ("http://wallet.api:443/", "http://wallet.api:443"),
        ("HTTPS://Wallet.API/", "https://wallet.api"),
        ("https://user:password@wallet.api/", "https://wallet.api"),
        ("https://wallet.api@evil.example/", "https://evil.example"),
        ("https://wallet.api.evil.example/", "https://wallet.api.evil.example"),
        ("http://[::1]:8080/x", "http://[::1]:8080"),
    ],
)
def test_the_origin_of_a_url(url: str, origin: str) -> None:
    assert origin_of(url) == origin
