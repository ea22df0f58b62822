"""What the ports `KeyRing` and `Signer` promise, asked of every place where keys live.

Vault's place is taken by a real OpenBao; that of AWS KMS by moto, and, for what moto does not know (Ed25519, digests,
the salt of RSASSA-PSS), by a stand-in that is held to botocore's model of KMS.
"""

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import msgspec
import pytest
from botocore.exceptions import EndpointConnectionError
from joserfc import jws
from joserfc.jwk import KeySet
from moto import mock_aws

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.jwks import keys_from
from ott_extauthz.bootstrap.rings import NobodyListens
from ott_extauthz.key_backends import AwsKms, VaultLogin
from ott_extauthz.ports import KeyRing, SigningError
from ott_extauthz.stores.keyring import FileRing, Place, Rotation, init_keys
from ott_extauthz.stores.remotekeys.calls import BoundedCalls
from ott_extauthz.stores.remotekeys.kms import KmsKeys
from ott_extauthz.stores.remotekeys.ring import RemoteRing
from ott_extauthz.stores.remotekeys.vault import VaultKeys
from ott_extauthz.stores.remotekeys.versions import Overlap
from tests.fakes.clock import FakeClock
from tests.fakes.kms import FakeKms
from tests.fakes.ring_listener import RingEars
from tests.open_bao import OpenBao, running_bao

PUBLISH_BEFORE_MS, RETIRE_AFTER_MS = 600_000, 420_000
OVERLAP = Overlap(publish_before_ms=PUBLISH_BEFORE_MS, retire_after_ms=RETIRE_AFTER_MS)
TRANSIT_TYPES = {"EdDSA": "ed25519", "ES256": "ecdsa-p256", "RS256": "rsa-2048", "PS256": "rsa-3072"}
SPECS = {"EdDSA": "ECC_NIST_EDWARDS25519", "ES256": "ECC_NIST_P256", "RS256": "RSA_3072", "PS256": "RSA_3072"}
MOTO_SPECS = {"ES256": "ECC_NIST_P256", "RS256": "RSA_2048"}  # the smaller one is made sooner
KINDS = [
    *(f"files-{algorithm}" for algorithm in ("EdDSA", "ES256")),
    *(f"vault-{algorithm}" for algorithm in TRANSIT_TYPES),
    *(f"moto-{algorithm}" for algorithm in ("ES256", "RS256")),
    *(f"kms-{algorithm}" for algorithm in SPECS),
]
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


@dataclass(frozen=True)
class Subject:
    """One ring, and what the suite must know to ask the same of all; ``rotated`` opens the ring after a rotation."""

    ring: KeyRing
    algorithm: str
    ears: RingEars
    rotated: Callable[[], KeyRing] | None = None
    break_: Callable[[], None] | None = None


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with running_bao(tmp_path_factory.mktemp("bao")) as found:
        yield found


@pytest.fixture(params=KINDS)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    kind, _, algorithm = request.param.partition("-")
    with ExitStack() as stack:
        match kind:
            case "files":
                yield _files(tmp_path, algorithm)
            case "vault":
                yield _vault(request.getfixturevalue("bao"), algorithm)
            case "moto":
                stack.enter_context(mock_aws())
                yield _moto(tmp_path, algorithm)
            case _:
                yield _kms(FakeKms(), algorithm)


def _files(folder: Path, algorithm: Any) -> Subject:
    init_keys(folder / "keys", algorithm=algorithm, now_ms=1)
    rotation = Rotation(every_ms=0, publish_before_ms=PUBLISH_BEFORE_MS, retire_after_ms=RETIRE_AFTER_MS)
    place = Place(directory=folder / "keys")
    ring = FileRing("", place, rotation=rotation, clock=FakeClock(), listener=NobodyListens())
    return Subject(ring, algorithm, RingEars())


def _opened(keys: Any, ears: RingEars, clock: FakeClock | None = None) -> RemoteRing:
    calls = BoundedCalls(seconds=30)
    return RemoteRing(keys, calls=calls, clock=clock or FakeClock(), listener=ears, every=None)


def _vault(bao: OpenBao, algorithm: str) -> Subject:
    key = bao.new_key(f"key-{secrets.token_hex(8)}", TRANSIT_TYPES[algorithm])
    ears, clock = RingEars(), FakeClock()
    token_file = bao.token_file(f"{key}-token")
    settings = bao.settings(key, algorithm=algorithm, login=VaultLogin(token_file=token_file))

    def rotated() -> RemoteRing:
        bao.rotate(key)
        later = FakeClock(4_000_000_000_000)  # both versions are old by then, the first one replaced long ago
        return _opened(VaultKeys(settings, overlap=OVERLAP), ears, later)

    def break_() -> None:
        bao.asked("POST", "auth/token/revoke", {"token": token_file.read_text().strip()})

    return Subject(_opened(VaultKeys(settings, overlap=OVERLAP), ears, clock), algorithm, ears, rotated, break_)


def _moto(folder: Path, algorithm: Any) -> Subject:
    credentials = folder / "credentials"
    credentials.write_text("[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = example\n")
    known = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "example"}
    client = boto3.client("kms", region_name="eu-west-1", **known)

    def new_key() -> str:
        arn: str = client.create_key(KeyUsage="SIGN_VERIFY", KeySpec=MOTO_SPECS[algorithm])["KeyMetadata"]["Arn"]
        return arn

    def settings(active: str, *others: str) -> AwsKms:
        return AwsKms(
            region="eu-west-1", active=active, keys=list(others), algorithm=algorithm, credentials_file=credentials
        )

    first, ears = new_key(), RingEars()
    ring = _opened(KmsKeys(settings(first)), ears)
    return Subject(
        ring,
        algorithm,
        ears,
        lambda: _opened(KmsKeys(settings(new_key(), first)), ears),
    )


def _kms(kms: FakeKms, algorithm: Any) -> Subject:
    first, ears = kms.new_key(SPECS[algorithm]), RingEars()

    def opened(active: str, *others: str) -> RemoteRing:
        settings = AwsKms(region="eu-west-1", active=active, keys=list(others), algorithm=algorithm)
        return _opened(KmsKeys(settings, client=kms), ears)

    def break_() -> None:
        kms.fault = EndpointConnectionError(endpoint_url="https://kms.eu-west-1.amazonaws.com")

    return Subject(opened(first), algorithm, ears, lambda: opened(kms.new_key(SPECS[algorithm]), first), break_)


def _messages(kid: str, algorithm: str, count: int) -> list[bytes]:
    header = encoded(msgspec.json.encode({"alg": algorithm, "kid": kid, "typ": "ott+jwt"}))
    return [f"{header}.{encoded(str(number).encode())}".encode() for number in range(count)]


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # RFC 9864 renames it to Ed25519; design section 5 has EdDSA
async def test_every_signature_of_a_batch_verifies_with_our_keys_and_with_joserfc(subject: Subject) -> None:
    signer = subject.ring.signer
    assert signer.algorithm == subject.algorithm
    messages = _messages(signer.kid, signer.algorithm, 21)
    signatures = await signer.sign(messages)
    ours = keys_from(subject.ring.jwks)[signer.kid]
    theirs = KeySet.import_key_set(json.loads(subject.ring.jwks))
    assert len(signatures) == len(messages)
    for message, signature in zip(messages, signatures, strict=True):
        assert ours.verifies(signer.algorithm, message, signature)
        compact = message + b"." + encoded(signature).encode()
        algorithms = ["EdDSA", "ES256", "RS256", "PS256"]
        assert jws.deserialize_compact(compact, theirs, algorithms=algorithms).headers()["kid"] == signer.kid
    assert len(set(signatures)) == len(signatures)


async def test_nothing_to_sign_is_no_signature(subject: Subject) -> None:
    assert list(await subject.ring.signer.sign([])) == []


async def test_the_key_set_names_its_keys_by_content_and_shows_no_private_member(subject: Subject) -> None:
    published = json.loads(subject.ring.jwks)["keys"]
    thumbprints = [key.thumbprint() for key in KeySet.import_key_set({"keys": published}).keys]
    assert [entry["kid"] for entry in published] == thumbprints
    assert subject.ring.signer.kid in thumbprints
    assert all(not PRIVATE & entry.keys() and entry["use"] == "sig" for entry in published)
    assert {entry["alg"] for entry in published} == {subject.algorithm}


async def test_after_a_rotation_another_key_signs(subject: Subject) -> None:
    if subject.rotated is None:
        pytest.skip("rotation of files has a suite of its own")
    before = subject.ring.signer.kid
    ring = subject.rotated()
    assert ring.signer.kid != before
    (message,) = _messages(ring.signer.kid, ring.signer.algorithm, 1)
    (signature,) = await ring.signer.sign([message])
    keys = keys_from(ring.jwks)
    assert keys[ring.signer.kid].verifies(ring.signer.algorithm, message, signature)


async def test_a_place_that_refuses_is_a_signing_error_that_is_told_and_names_no_secret(subject: Subject) -> None:
    if subject.break_ is None:
        pytest.skip("a key in memory does not fail")
    subject.break_()
    with pytest.raises(SigningError) as caught:
        await subject.ring.signer.sign([b"a.b"])
    assert subject.ears.failures == [str(caught.value)]
    assert "told to nobody" not in str(caught.value)
    assert subject.ring.signer.kid in keys_from(subject.ring.jwks)
