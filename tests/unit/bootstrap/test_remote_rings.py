"""A ring elsewhere that cannot be opened says what to mend; what it holds at the start is no news."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from ott_extauthz.bootstrap.remote_rings import RingTold, remote_ring
from ott_extauthz.bootstrap.rings import NobodyListens
from ott_extauthz.issuer.key_change import KeyChange
from ott_extauthz.key_backends import AwsKmsRing, VaultRing
from ott_extauthz.sections.rings import Rotation
from ott_extauthz.stores.remotekeys.keys import RingError
from tests.fakes.clock import FakeClock

KMS = {"region": "eu-west-1", "active": "0" * 36, "endpoint": "http://127.0.0.1:1"}
VAULT = {"address": "http://127.0.0.1:1", "key": "issuer", "login": {"token_file": "token"}}


def opened(kind: Any, **settings: Any) -> str:
    ring = TypeAdapter[Any](kind).validate_python(settings)
    with pytest.raises(RingError) as caught:
        remote_ring("", ring, Rotation(), clock=FakeClock(), listener=NobodyListens())
    return str(caught.value)


def test_an_authority_that_is_not_there_is_named(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.pem")
    assert opened(VaultRing, vault={**VAULT, "ca": gone}) == f"ca: {gone} cannot be read: No such file or directory"
    assert opened(AwsKmsRing, aws_kms={**KMS, "ca": gone}) == f"ca: {gone} cannot be read: No such file or directory"


@pytest.mark.parametrize("text", [None, "[other]\naws_access_key_id = a\naws_secret_access_key = b\n"])
def test_credentials_that_are_not_there_are_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "credentials"
    if text is not None:
        path.write_text(text)
    told = opened(AwsKmsRing, aws_kms={**KMS, "credentials_file": str(path)})
    assert told == f"kms: {path}, profile default: cannot be used (ProfileNotFound)"


def test_what_a_ring_holds_at_the_start_is_no_news() -> None:
    heard: list[KeyChange] = []

    class Ears(NobodyListens):
        def key_changed(self, change: KeyChange) -> None:
            heard.append(change)

    told = RingTold("eu", Ears())
    told.key_changed("k", None, "active", 0)
    told.is_news = True
    told.key_changed("k", "active", "retiring", 0)
    assert [change.is_news for change in heard] == [False, True]
