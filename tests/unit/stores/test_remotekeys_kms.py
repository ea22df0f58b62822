"""AWS KMS when it answers otherwise than asked."""

import os
from pathlib import Path
from typing import Any

import pytest

from ott_extauthz.authn.jwks import keys_from
from ott_extauthz.key_backends import AwsKms
from ott_extauthz.ports import SigningError
from ott_extauthz.stores.remotekeys import kms as module
from ott_extauthz.stores.remotekeys.calls import BoundedCalls
from ott_extauthz.stores.remotekeys.kms import MOST_RAW_BYTES, KmsKeys
from ott_extauthz.stores.remotekeys.ring import RemoteRing
from tests.fakes.clock import FakeClock
from tests.fakes.kms import FakeKms
from tests.fakes.ring_listener import RingEars


def keys_of(kms: Any, active: str, algorithm: Any = "ES256") -> KmsKeys:
    return KmsKeys(AwsKms(region="eu-west-1", active=active, algorithm=algorithm), client=kms)


@pytest.mark.parametrize(
    ("algorithm", "spec"), [("ES256", "ECC_NIST_P256"), ("PS256", "RSA_3072"), ("RS256", "RSA_3072")]
)
@pytest.mark.parametrize("size", [MOST_RAW_BYTES, MOST_RAW_BYTES + 1])
async def test_a_message_too_long_for_kms_goes_as_its_digest(algorithm: str, spec: str, size: int) -> None:
    kms = FakeKms()
    keys = keys_of(kms, kms.new_key(spec), algorithm)
    ring = RemoteRing(keys, calls=BoundedCalls(seconds=30), clock=FakeClock(), listener=RingEars(), every=None)
    message = b"m" * size
    (signature,) = await ring.signer.sign([message])
    assert keys_from(ring.jwks)[ring.signer.kid].verifies(algorithm, message, signature)
    assert kms.signed[-1] == ("RAW" if size == MOST_RAW_BYTES else "DIGEST")


def test_ed25519_has_no_digest_and_says_so() -> None:
    kms = FakeKms()
    keys = keys_of(kms, kms.new_key("ECC_NIST_EDWARDS25519"), "EdDSA")
    with pytest.raises(SigningError, match="at most 4096 bytes"):
        keys.sign(keys.look(0).active, [b"m" * (MOST_RAW_BYTES + 1)])


def test_a_signature_of_another_key_is_none() -> None:
    class Swapped(FakeKms):
        def sign(self, **asked: Any) -> dict[str, Any]:
            return super().sign(**asked) | {"KeyId": second}

    kms = Swapped()
    first, second = kms.new_key("ECC_NIST_P256"), kms.new_key("ECC_NIST_P256")
    keys = keys_of(kms, first)
    with pytest.raises(SigningError, match="no signature of this key"):
        keys.sign(keys.look(0).active, [b"m"])


def test_a_public_key_of_another_key_is_none() -> None:
    class Swapped(FakeKms):
        def get_public_key(self, **asked: Any) -> dict[str, Any]:
            return super().get_public_key(KeyId=second)

    kms = Swapped()
    first, second = kms.new_key("ECC_NIST_P256"), kms.new_key("ECC_NIST_P256")
    with pytest.raises(SigningError, match="another key answered"):
        keys_of(kms, first).look(0)


@pytest.mark.parametrize("signature", [b"", b"no DER", b"\x30\x06\x02\x01\x01\x02\x01"])
def test_a_signature_that_is_none_is_refused(signature: bytes) -> None:
    class Broken(FakeKms):
        def sign(self, **asked: Any) -> dict[str, Any]:
            return super().sign(**asked) | {"Signature": signature}

    kms = Broken()
    keys = keys_of(kms, kms.new_key("ECC_NIST_P256"))
    with pytest.raises(SigningError):
        keys.sign(keys.look(0).active, [b"m"])


def test_a_key_of_another_type_is_refused() -> None:
    kms = FakeKms()
    with pytest.raises(SigningError, match="does not sign PS256"):
        keys_of(kms, kms.new_key("ECC_NIST_P256"), "PS256").look(0)


def test_a_key_that_is_not_there_is_named_with_awss_own_code() -> None:
    with pytest.raises(SigningError, match=r"get_public_key refused \(NotFoundException\)"):
        keys_of(FakeKms(), "11111111-2222-3333-4444-555555555555").look(0)


def test_keys_in_the_environment_sign_for_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASTRAY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "stray")
    monkeypatch.setenv("AWS_PROFILE", "stray")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    path = tmp_path / "credentials"
    path.write_text("[issuer]\naws_access_key_id = AKIAFILE\naws_secret_access_key = file\n")
    settings = AwsKms(
        region="eu-west-1", active="11111111-2222-3333-4444-555555555555", credentials_file=path, profile="issuer"
    )
    client = module._client(settings)
    assert client._get_credentials().access_key == "AKIAFILE"
    assert client.meta.endpoint_url == "https://kms.eu-west-1.amazonaws.com"
    assert client._endpoint.http_session._proxy_config.proxy_url_for("https://kms.eu-west-1.amazonaws.com") is None
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    of_the_workload = module._client(settings.model_copy(update={"credentials_file": None}))
    assert of_the_workload._get_credentials() is None
    assert "AWS_ACCESS_KEY_ID" in os.environ
