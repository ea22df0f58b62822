"""What is done to a ring: always published first, kept long enough, and gone when it is gone."""

import fcntl
import json
import os
from collections.abc import Callable

import pytest

from ott_extauthz.authn.jwks import keys_from
from ott_extauthz.stores.keyring import KeyFileError, Keys, Place, advance, init_ring, load_ring, retire, rotate
from ott_extauthz.stores.keyring.files import RingBusyError
from tests.fakes.clock import START_MS
from tests.unit.stores.keyring.conftest import BY_HAND, ROTATION


def states(keys: Keys) -> list[str]:
    return [key.state.value for key in keys]


def on_disk(place: Place) -> tuple[set[str], set[str]]:
    """Return what is published, and whose private keys are there."""
    return set(keys_from(place.jwks.read_bytes())), set(place.private_kids())


def turn(place: Place, now_ms: int, *, at_once: bool = False) -> Keys:
    return rotate(place, BY_HAND, at_once=at_once, now_ms=now_ms)


def test_a_rotation_publishes_first_signs_later_and_deletes_last(place: Place) -> None:
    (old,) = load_ring(place).keys
    _, new = turn(place, START_MS)
    assert (states(load_ring(place).keys), load_ring(place).signer.kid) == (["active", "next"], old.kid)
    assert on_disk(place) == ({old.kid, new.kid}, {old.kid, new.kid})
    assert states(turn(place, START_MS + 9_999)) == ["active", "next"], "asked again, it is the same rotation"
    assert states(turn(place, START_MS + 10_000)) == ["retiring", "active"]
    assert load_ring(place).signer.kid == new.kid
    assert on_disk(place) == ({old.kid, new.kid}, {old.kid, new.kid})
    advance(place, BY_HAND, now_ms=START_MS + 29_999)
    assert states(load_ring(place).keys) == ["retiring", "active"]
    assert states(turn(place, START_MS + 30_000)) == ["retired", "active"], "the last step begins no new rotation"
    assert on_disk(place) == ({new.kid}, {new.kid})
    assert states(turn(place, START_MS + 30_000)) == ["retired", "active", "next"]


def test_an_emergency_waits_for_no_step_that_is_due(place: Place) -> None:
    turn(place, START_MS, at_once=True)
    assert states(turn(place, START_MS + 20_000, at_once=True)) == ["retired", "retiring", "active"]
    turn(place, START_MS + 20_000)
    keys = turn(place, START_MS + 30_000, at_once=True)
    assert states(keys) == ["retired", "retiring", "retiring", "active"], "one rotation, not two"


def test_now_signs_with_the_key_that_verifiers_may_know_already(place: Place) -> None:
    _, published = turn(place, START_MS)
    keys = turn(place, START_MS + 1, at_once=True)
    assert (states(keys), load_ring(place).signer.kid) == (["retiring", "active"], published.kid)


def test_now_without_a_next_key_makes_one(place: Place) -> None:
    assert states(turn(place, START_MS, at_once=True)) == ["retiring", "active"]


def test_a_compromised_active_key_is_replaced_and_gone_at_once(place: Place) -> None:
    (old,) = load_ring(place).keys
    keys = retire(place, old.kid, now_ms=START_MS)
    assert states(keys) == ["retired", "active"]
    assert on_disk(place) == ({keys[1].kid}, {keys[1].kid})
    assert load_ring(place).signer.kid == keys[1].kid


def test_a_compromised_active_key_makes_way_for_the_key_that_is_published_already(place: Place) -> None:
    old, following = turn(place, START_MS)
    assert states(retire(place, old.kid, now_ms=START_MS)) == ["retired", "active"]
    assert on_disk(place) == ({following.kid}, {following.kid})


@pytest.mark.parametrize("prepare", [turn, lambda place, now_ms: turn(place, now_ms, at_once=True)])
def test_a_compromised_key_that_does_not_sign_is_gone_at_once(place: Place, prepare: Callable[..., Keys]) -> None:
    prepare(place, START_MS)
    (other,) = [key.kid for key in load_ring(place).keys if key.state != "active"]
    retire(place, other, now_ms=START_MS)
    kept = load_ring(place).signer.kid
    assert on_disk(place) == ({kept}, {kept})


def test_a_key_is_retired_once_and_only_if_there_is_one(place: Place) -> None:
    (old,) = load_ring(place).keys
    retire(place, old.kid, now_ms=START_MS)
    with pytest.raises(KeyFileError, match="retired already"):
        retire(place, old.kid, now_ms=START_MS)
    with pytest.raises(KeyFileError, match=r"\.\./x is no key of the ring"):
        retire(place, "../x", now_ms=START_MS)


def test_the_schedule_makes_keys_of_the_same_algorithm(place: Place) -> None:
    rotate(place, ROTATION, at_once=True, algorithm="ES256", now_ms=START_MS)
    advance(place, ROTATION, now_ms=START_MS + 90_000)
    assert [(key.alg, key.state.value) for key in load_ring(place).keys] == [
        ("EdDSA", "retired"),
        ("ES256", "active"),
        ("ES256", "next"),
    ]


def test_a_ring_that_nothing_is_due_in_is_not_written(place: Place) -> None:
    def written() -> list[tuple[str, int, int]]:
        return sorted((path.name, path.stat().st_ino, path.stat().st_mtime_ns) for path in place.directory.iterdir())

    before = written()
    advance(place, ROTATION, now_ms=START_MS)
    assert written() == before


def test_who_finds_the_ring_locked_waits_no_longer_than_told_and_writes_nothing(place: Place) -> None:
    descriptor = os.open(place.directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(RingBusyError, match="another process"):
            advance(place, ROTATION, now_ms=START_MS + 10**9)
        assert states(load_ring(place).keys) == ["active"]
    finally:
        os.close(descriptor)


def test_what_a_killed_writer_left_is_removed_and_published_no_more(place: Place) -> None:
    (kept,) = load_ring(place).keys
    other = Place(directory=place.directory.with_name("other"))
    stray = init_ring(other, now_ms=START_MS)
    other.private(stray.kid).rename(place.private(stray.kid))
    (place.directory / ".new-abc").write_text("half a private key")
    both = {"keys": [json.loads(each.jwks.read_bytes())["keys"][0] for each in (place, other)]}
    place.jwks.write_text(json.dumps(both))
    assert not load_ring(place).is_tidy
    advance(place, ROTATION, now_ms=START_MS)
    assert load_ring(place).is_tidy
    assert on_disk(place) == ({kept.kid}, {kept.kid})
    assert {path.name for path in place.directory.iterdir()} == {
        "ring.json", "jwks.json", place.private(kept.kid).name,
    }  # fmt: skip


def test_a_key_in_the_set_that_no_killed_writer_explains_is_refused_not_published(place: Place) -> None:
    """Whoever slips a key of their own into jwks.json could sign whatever they like."""
    other = Place(directory=place.directory.with_name("other"))
    init_ring(other, now_ms=START_MS)
    both = {"keys": [json.loads(each.jwks.read_bytes())["keys"][0] for each in (place, other)]}
    place.jwks.write_text(json.dumps(both))
    for use in (load_ring, lambda there: advance(there, ROTATION, now_ms=START_MS)):
        with pytest.raises(KeyFileError, match="is not the public half"):
            use(place)


@pytest.mark.parametrize("member", ["x", "use", "alg", "kid"])
def test_a_public_half_that_was_altered_is_refused(place: Place, member: str) -> None:
    text = json.loads(place.jwks.read_bytes())
    jwk = text["keys"][0]
    altered = ("B" if jwk[member][0] == "A" else "A") + jwk[member][1:]
    jwk[member] = {"use": "enc", "alg": "ES256"}.get(member, altered)
    place.jwks.write_text(json.dumps(text))
    with pytest.raises(KeyFileError, match="is not the public half"):
        load_ring(place)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for others")
def test_what_root_writes_belongs_to_whom_the_directory_belongs(place: Place) -> None:
    """`sudo ott-extauthz keys rotate` must not leave keys that the service cannot read."""
    for path in (place.directory, *place.directory.iterdir()):
        os.chown(path, 65534, 65534)
    turn(place, START_MS, at_once=True)
    assert {path.stat().st_uid for path in place.directory.iterdir()} == {65534}


def test_a_ring_of_the_first_version_turns(place: Place) -> None:
    """One key, no `since`: as `keys init` wrote it before there was rotation."""
    ring = json.loads(place.ring.read_text())
    assert set(ring["keys"][0]) == {"kid", "alg", "state", "created"}
    assert states(advance(place, ROTATION, now_ms=START_MS + 90_000)) == ["active", "next"]
