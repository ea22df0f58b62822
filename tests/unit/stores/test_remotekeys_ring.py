"""A ring elsewhere, against keys that fail as Vault and KMS may: late, partly, with another key's signature."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from ott_extauthz.authn.jwks import keys_from
from ott_extauthz.key_backends import AwsKms, Vault, VaultLogin
from ott_extauthz.ports import SigningError
from ott_extauthz.stores.remotekeys.calls import BoundedCalls
from ott_extauthz.stores.remotekeys.keys import Look, RemoteKey, RingError
from ott_extauthz.stores.remotekeys.opening import open_kms_ring, open_vault_ring
from ott_extauthz.stores.remotekeys.ring import RemoteRing
from ott_extauthz.stores.remotekeys.versions import Overlap
from ott_extauthz.stores.signing import SigningAlgorithm
from tests.fakes.clock import FakeClock
from tests.fakes.ring_listener import RingEars

SECRETS = {str(number): ed25519.Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2)}
KEYS = {name: RemoteKey(name, secret.public_key(), 0) for name, secret in SECRETS.items()}
ONE = Look(KEYS["1"], ((KEYS["1"], "active"),))
TURNED = Look(KEYS["2"], ((KEYS["1"], "retiring"), (KEYS["2"], "active")))


@dataclass
class Place:
    """Keys that sign, unless `sign_` says otherwise."""

    now: Look = ONE
    calls_at_once: int = 1
    algorithm: SigningAlgorithm = "EdDSA"
    sizes: list[int] = field(default_factory=list)
    sign_: Callable[[RemoteKey, bytes], bytes] = lambda key, message: SECRETS[key.reference].sign(message)
    fault: SigningError | None = None

    def look(self, now_ms: int) -> Look:
        if self.fault:
            raise self.fault
        return self.now

    def sign(self, key: RemoteKey, messages: Sequence[bytes]) -> Sequence[bytes]:
        self.sizes.append(len(messages))
        return [self.sign_(key, message) for message in messages]


def ring_of(place: Place, ears: RingEars | None = None, calls: BoundedCalls | None = None) -> RemoteRing:
    calls = calls or BoundedCalls(seconds=30)
    return RemoteRing(place, calls=calls, clock=FakeClock(), listener=ears or RingEars(), every=None)


async def test_a_ring_without_work_runs_out_at_once() -> None:
    await asyncio.wait_for(ring_of(Place()).run(), 10)


def test_a_key_that_signs_otherwise_than_its_public_half_verifies_opens_no_ring() -> None:
    place = Place(sign_=lambda key, message: SECRETS["2"].sign(message))
    with pytest.raises(RingError, match="does not verify"):
        ring_of(place)


def test_a_place_that_cannot_be_asked_opens_no_ring() -> None:
    with pytest.raises(RingError, match="sealed"):
        ring_of(Place(fault=SigningError("sealed")))


async def test_a_turned_ring_signs_with_the_new_key_and_still_publishes_the_old_one() -> None:
    place, ears = Place(), RingEars()
    ring = ring_of(place, ears)
    place.now = TURNED
    await ring.refresh()
    assert ring.signer.kid == KEYS["2"].kid
    assert set(keys_from(ring.jwks)) == {KEYS["1"].kid, KEYS["2"].kid}
    place.now = Look(KEYS["2"], ((KEYS["2"], "active"),))
    await ring.refresh()
    assert ears.changes == [
        (KEYS["1"].kid, None, "active"),
        (KEYS["1"].kid, "active", "retiring"),
        (KEYS["2"].kid, None, "active"),
        (KEYS["1"].kid, "retiring", None),
    ]
    assert ears.failures == []


async def test_a_signer_taken_before_the_rotation_signs_with_its_own_key_still() -> None:
    place = Place()
    ring = ring_of(place)
    signer, place.now = ring.signer, TURNED
    await ring.refresh()
    (signature,) = await signer.sign([b"a.b"])
    SECRETS["1"].public_key().verify(signature, b"a.b")
    assert signer.kid == KEYS["1"].kid


async def test_a_look_that_fails_leaves_the_keys_in_force_and_is_told() -> None:
    place, ears = Place(), RingEars()
    ring = ring_of(place, ears)
    place.fault = SigningError("sealed")
    await ring.refresh()
    assert ring.signer.kid == KEYS["1"].kid
    assert ears.failures == ["sealed"]


async def test_a_new_key_that_does_not_sign_is_not_taken() -> None:
    place, ears = Place(), RingEars()
    ring = ring_of(place, ears)
    place.now, place.sign_ = TURNED, lambda key, message: SECRETS["1"].sign(message)
    await ring.refresh()
    assert ring.signer.kid == KEYS["1"].kid
    assert json.loads(ring.jwks)["keys"][0]["kid"] == KEYS["1"].kid
    assert len(ears.failures) == 1


async def test_a_batch_is_divided_and_put_together_in_order() -> None:
    place = Place(calls_at_once=8)
    ring = ring_of(place)
    place.sizes.clear()
    messages = [b"%d" % number for number in range(21)]
    for message, signature in zip(messages, await ring.signer.sign(messages), strict=True):
        SECRETS["1"].public_key().verify(signature, message)
    assert sorted(place.sizes) == [3] * 7


async def test_a_place_that_swallows_a_message_signs_nothing() -> None:
    class Swallowing(Place):
        def sign(self, key: RemoteKey, messages: Sequence[bytes]) -> Sequence[bytes]:
            return super().sign(key, messages[:1])

    ears = RingEars()
    with pytest.raises(SigningError, match="missing"):
        await ring_of(Swallowing(), ears).signer.sign([b"a", b"b"])
    assert ears.failures == ["a signature is missing"]


async def test_one_failed_part_of_a_batch_fails_it_all() -> None:
    def sometimes(key: RemoteKey, message: bytes) -> bytes:
        if message == b"7":
            raise SigningError("throttled")
        return SECRETS["1"].sign(message)

    ring = ring_of(Place(calls_at_once=4, sign_=sometimes))
    with pytest.raises(SigningError, match="throttled"):
        await ring.signer.sign([b"%d" % number for number in range(9)])


async def test_a_place_that_hangs_is_given_up_in_time_and_what_waits_beyond_is_refused_at_once() -> None:
    release = threading.Event()
    hanging = False

    def hang(key: RemoteKey, message: bytes) -> bytes:
        if hanging:
            release.wait(60)
        return SECRETS["1"].sign(message)

    ring = ring_of(Place(sign_=hang), calls=BoundedCalls(seconds=2, threads=1, most=2))
    hanging = True
    try:
        answers = await asyncio.gather(*(ring.signer.sign([b"x"]) for _ in range(3)), return_exceptions=True)
    finally:
        release.set()
    assert sorted(map(str, answers)) == ["no answer in time", "no answer in time", "too many calls are waiting"]
    assert all(isinstance(answer, SigningError) for answer in answers)


async def test_after_an_outage_it_signs_again() -> None:
    calls = BoundedCalls(seconds=30, threads=1, most=1)
    ring = ring_of(Place(), calls=calls)
    for _ in range(3):
        assert len(await ring.signer.sign([b"x"])) == 1


def test_a_missing_hvac_is_named_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hvac", None)
    settings = Vault(address="https://vault.example", key="k", login=VaultLogin(token_file=Path("token")))
    overlap = Overlap(publish_before_ms=1, retire_after_ms=1)
    with pytest.raises(RingError, match=r"ott-extauthz\[vault\]"):
        open_vault_ring(settings, overlap=overlap, clock=FakeClock(), listener=RingEars())


def test_a_missing_boto3_is_named_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    settings = AwsKms(region="eu-west-1", active="11111111-2222-3333-4444-555555555555")
    with pytest.raises(RingError, match=r"ott-extauthz\[aws\]"):
        open_kms_ring(settings, clock=FakeClock(), listener=RingEars())


def test_neither_the_service_nor_the_command_line_pays_for_the_extras() -> None:
    program = (
        "import sys, ott_extauthz.cli, ott_extauthz.bootstrap.issuer, ott_extauthz.stores.remotekeys.opening\n"
        "sys.exit(any(name in sys.modules for name in ('hvac', 'boto3', 'botocore', 'requests', 'moto')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
