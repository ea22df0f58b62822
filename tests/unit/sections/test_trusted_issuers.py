"""Whose tokens count for what: no slip of the pen makes a foreign issuer trusted like one of our own."""

from typing import Any

import pytest
from pydantic import ValidationError

from ott_extauthz.sections.trusted_issuers import SubjectIssuer, Trust

BASE: dict[str, Any] = {"issuer": "https://idp.example", "jwks": "jwks.json", "algorithms": ["ES256"]}
DISCOVERED: dict[str, Any] = {
    "issuer": "https://idp.example", "discovery": "openid-configuration", "algorithms": ["ES256"],
}  # fmt: skip
OWN = {"one_time_token", "mandate", "access_token"}


def trust(base: dict[str, Any] = BASE, **changes: Any) -> Trust:
    return Trust.model_validate(base | changes)


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, OWN),
        ({"tokens": ["one_time_token"]}, {"one_time_token"}),
        ({"tokens": ["access_token", "mandate"]}, {"access_token", "mandate"}),
        ({"access_tokens": {}}, {"access_token"}),
        ({"access_tokens": {"plain": True}, "tokens": ["access_token"]}, {"access_token"}),
    ],
)
def test_what_an_issuer_may_make(changes: dict[str, Any], kinds: set[str]) -> None:
    assert trust(**changes).kinds == kinds


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"access_tokens": {}, "tokens": ["one_time_token"]}, "no one-time tokens and no mandates"),
        ({"access_tokens": {}, "tokens": ["access_token", "mandate"]}, "no one-time tokens and no mandates"),
        ({"access_tokens": None}, "has no value"),
        ({"tokens": None}, "has no value"),
        ({"tokens": []}, "at least 1 item"),
        ({"tokens": ["mandate", "mandate"]}, "stands twice"),
        ({"tokens": ["id_token"]}, "one_time_token"),
        ({"access_tokens": {"typ": "JWT"}}, "Extra inputs"),
        ({"access_tokens": {"plain": "yes"}}, "valid boolean"),
        ({"access_tokens": {"audiences": {"wallet.api": []}}}, "at least 1 item"),
        ({"access_tokens": {"audiences": {"wallet.api": ["a", "a"]}}}, "stands twice"),
        ({"access_tokens": {"audiences": {"wallet.api": None}}}, "valid list"),
        ({"access_tokens": {"scope": ""}}, "match pattern"),
        ({"access_tokens": {"max_lifetime": "8d"}}, "between 1s and 7d"),
        ({"access_tokens": {"max_lifetime": "0s"}}, "between 1s and 7d"),
        ({"jwks": None}, "exactly one of jwks"),
        ({"discovery": "openid-configuration"}, "exactly one of jwks"),
        ({"discovery": True, "jwks": None}, "openid-configuration"),
        ({"jwks_hosts": ["keys.example"]}, "jwks_hosts says where discovery may lead"),
        ({"ca": "ca.pem"}, "ca is for a jwks that is an https URL"),
    ],
)
def test_what_cannot_be_meant_does_not_start(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        trust(**changes)


def test_keys_may_be_found_by_discovery() -> None:
    found = trust(DISCOVERED, ca="ca.pem", jwks_hosts=["keys.example", "keys.example:8443"])
    assert found.is_fetched
    assert not trust().is_fetched


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "http://idp.example"},
        {"issuer": "idp"},
        {"issuer": "https://idp.example?x=1"},
        {"jwks_hosts": ["https://keys.example"]},
        {"jwks_hosts": ["KEYS.example"]},
        {"jwks_hosts": ["*.example"]},
        {"jwks_hosts": ["keys.example/path"]},
        {"jwks_hosts": ["keys.example", "keys.example"]},
    ],
)
def test_what_could_never_be_discovered_is_told(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        trust(DISCOVERED, **changes)


def test_an_issuer_of_users_is_trusted_for_exchanges_alone() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        SubjectIssuer.model_validate(BASE | {"audience": "a", "token_types": ["jwt"], "access_tokens": {}})
    assert SubjectIssuer.model_validate(DISCOVERED | {"audience": "a", "token_types": ["jwt"]}).is_fetched
