"""What may be said of an issuer that is asked, and what would be unsafe."""

from typing import Any

import pytest
from pydantic import ValidationError

from ott_extauthz.sections.introspection import Introspection, confusable

ENTRY: dict[str, Any] = {
    "issuer": "https://login.bank.example",
    "endpoint": "https://login.bank.example/introspect",
    "client_id": "wallet",
    "authentication": "client_secret_basic",
    "secret_file": "secret",
    "cache": {"active": "0s", "inactive": "60s", "entries": 5},
}
ASSERTION: dict[str, Any] = {"authentication": "private_key_jwt", "secret_file": None, "key": "k", "algorithm": "ES256"}
CERTIFICATE: dict[str, Any] = {
    "authentication": "tls_client_auth",
    "secret_file": None,
    "certificate": "c.pem",
    "key": "k.pem",
}
PLAIN: dict[str, Any] = {"endpoint": "http://127.0.0.1:8080/introspect", "plain_loopback": "accept the risk"}


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"endpoint": "http://login.bank.example/introspect"}, "https"),
        ({"endpoint": "http://login.bank.example/introspect", "plain_loopback": "accept the risk"}, "https"),
        ({"endpoint": "http://127.0.0.1:8080/introspect"}, "accept the risk"),
        ({"endpoint": "http://127.0.0.1.evil.example/", "plain_loopback": "accept the risk"}, "https"),
        ({"endpoint": "http://localhost@evil.example/", "plain_loopback": "accept the risk"}, "https"),
        ({"endpoint": "https://user:word@login.bank.example/"}, "without user"),
        ({"plain_loopback": "accept the risk"}, "plain_loopback is for"),
        ({"plain_loopback": "yes"}, "accept the risk"),
        (PLAIN | {"ca": "ca.pem"}, "does not speak"),
        (PLAIN | CERTIFICATE, "does not speak"),
        ({"secret": "swordfish"}, "Extra inputs"),
        ({"secret_file": None}, "needs secret_file"),
        ({"key": "key.pem"}, "says nothing about client_secret_basic"),
        ({"authentication": "client_secret_post"}, "client_secret_basic"),
        ({"authentication": "none"}, "client_secret_basic"),
        (ASSERTION | {"algorithm": None}, "needs algorithm"),
        (ASSERTION | {"algorithm": "HS256"}, "algorithm"),
        (ASSERTION | {"secret_file": "secret"}, "says nothing"),
        (CERTIFICATE | {"key": None}, "needs key"),
        (CERTIFICATE | {"kid": "k"}, "says nothing"),
        ({"cache": {"active": "61s"}}, "at most 60s"),
        ({"cache": {"inactive": "2m"}}, "at most 60s"),
        ({"cache": {"entries": 0}}, "entries"),
        ({"timeout": "0s"}, "10s"),
        ({"timeout": "11s"}, "10s"),
        ({"max_in_flight": 0}, "max_in_flight"),
        ({"may_lack": ["exp"]}, "may_lack"),
        ({"single_use": True, "may_lack": ["iat"]}, "single_use needs iat"),
        ({"prefix": "a b"}, "pattern"),
        ({"client_id": "a\nb"}, "pattern"),
    ],
)
def test_what_would_be_unsafe_does_not_start(changes: dict[str, Any], match: str) -> None:
    Introspection.model_validate(ENTRY)
    with pytest.raises(ValidationError, match=match) as caught:
        Introspection.model_validate(ENTRY | changes)
    assert "swordfish" not in str(caught.value)


@pytest.mark.parametrize("changes", [PLAIN, ASSERTION, CERTIFICATE, ASSERTION | {"assertion_audience": "https://a"}])
def test_each_way_of_asking_stands_alone(changes: dict[str, Any]) -> None:
    assert Introspection.model_validate(ENTRY | changes).cache.entries == 5


def test_what_is_not_said_is_short_and_bounded() -> None:
    entry = Introspection.model_validate({name: value for name, value in ENTRY.items() if name != "cache"})
    assert (entry.cache.active, entry.cache.inactive, entry.cache.entries) == (10_000, 5000, 10_000)
    assert (entry.timeout, entry.max_in_flight) == (1000, 32)


@pytest.mark.parametrize(
    ("prefixes", "is_so"),
    [
        ([], False),
        ([""], False),
        (["", ""], True),
        (["", "bk_"], True),  # the one without a prefix has every token
        (["bk_", "bk_live_"], True),
        (["bk_live_", "bk_"], True),
        (["bk_", "cs_"], False),
        (["bk_", "cs_", "bk_"], True),
    ],
)
def test_tokens_of_two_issuers_must_look_different(prefixes: list[str], is_so: bool) -> None:  # noqa: FBT001 - a table
    assert confusable([Introspection.model_validate(ENTRY | {"prefix": prefix}) for prefix in prefixes]) is is_so
