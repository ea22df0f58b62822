"""What may be said of keys elsewhere, and what would be unsafe."""

from typing import Any

import pytest
from pydantic import ValidationError

from ott_extauthz.key_backends import AwsKms, Vault

VAULT: dict[str, Any] = {
    "address": "https://vault.bank.example:8200",
    "key": "ott-issuer",
    "login": {"kubernetes": {"role": "issuer"}},
}
KEY = "11111111-2222-3333-4444-555555555555"
KMS: dict[str, Any] = {"region": "eu-west-1", "active": KEY}


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"address": "http://vault.bank.example:8200"}, "whoever listens in"),
        ({"address": "https://user:secret@vault.bank.example"}, "without user"),
        ({"address": "vault.bank.example:8200"}, "https://"),
        ({"address": "file:///etc/passwd"}, "https://"),
        ({"key": "../sys/seal"}, "pattern"),
        ({"mount": "/sys"}, "pattern"),
        ({"login": {}}, "exactly one"),
        ({"login": {"token_file": "t", "kubernetes": {"role": "issuer"}}}, "exactly one"),
        ({"login": {"token": "s.abc"}}, "Extra inputs"),
        ({"algorithm": "HS256"}, "algorithm"),
        ({"timeout": "31s"}, "30s"),
        ({"timeout": "0s"}, "30s"),
        ({"every": "5m"}, "1m"),
    ],
)
def test_what_would_be_unsafe_of_vault_does_not_start(changes: dict[str, Any], match: str) -> None:
    Vault.model_validate(VAULT)
    with pytest.raises(ValidationError, match=match) as caught:
        Vault.model_validate(VAULT | changes)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"active": "alias/issuer"}, "an alias may move"),
        ({"keys": ["arn:aws:kms:eu-west-1:111122223333:alias/issuer"]}, "an alias may move"),
        ({"keys": [KEY]}, "stands twice"),
        ({"region": "http://evil"}, "pattern"),
        ({"endpoint": "http://kms.example"}, "whoever listens in"),
        ({"aws_secret_access_key": "x"}, "Extra inputs"),
    ],
)
def test_what_would_be_unsafe_of_kms_does_not_start(changes: dict[str, Any], match: str) -> None:
    AwsKms.model_validate(KMS)
    with pytest.raises(ValidationError, match=match):
        AwsKms.model_validate(KMS | changes)


def test_this_machine_may_be_asked_without_tls() -> None:
    assert Vault.model_validate(VAULT | {"address": "http://127.0.0.1:8200/"}).address == "http://127.0.0.1:8200"
