"""A running issuer's ring: it follows what others write, turns what is due, and keeps signing through every fault."""

import asyncio
import fcntl
import json
import os

import pytest

from ott_extauthz.authn.jwks import keys_from
from ott_extauthz.stores.keyring import Keys, Place, file_ring, loading, retire, rotate
from ott_extauthz.stores.keyring.key_set import public_keys
from tests.fakes.clock import START_MS, FakeClock
from tests.fakes.issuing import Remembering
from tests.unit.stores.keyring.conftest import BY_HAND, ring_at


def moves(listener: Remembering) -> list[tuple[str | None, str]]:
    return [(change.before and change.before.value, change.after.value) for change in listener.key_changes]


def test_the_schedule_turns_the_ring_and_each_state_is_told(place: Place, clock: FakeClock) -> None:
    ring, listener = ring_at(place, clock)
    first = ring.signer.kid
    for milliseconds, signs_first in ((89_999, True), (1, True), (9_999, True), (1, False), (20_000, False)):
        clock.advance(milliseconds)
        assert ring.look()
        assert (ring.signer.kid == first) is signs_first
        assert ring.signer.kid in keys_from(ring.jwks)
    assert moves(listener) == [
        (None, "active"),
        (None, "next"),
        ("active", "retiring"),
        ("next", "active"),
        ("retiring", "retired"),
    ]
    assert [change.is_news for change in listener.key_changes] == [False, True, True, True, True]
    assert listener.key_changes[3].rotation_due_ms == START_MS + 200_000
    assert first not in keys_from(ring.jwks)


def test_what_an_operator_began_goes_on_without_a_schedule(place: Place, clock: FakeClock) -> None:
    ring, _ = ring_at(place, clock, BY_HAND)
    clock.advance(10**9)
    ring.look()
    assert len(ring.keys) == 1, "no key by itself"
    rotate(place, BY_HAND, at_once=False, now_ms=clock.now_ms())
    for _ in range(3):
        clock.advance(20_000)
        assert ring.look()
    assert [key.state.value for key in ring.keys] == ["retired", "active"]


def test_two_issuers_on_one_ring_take_each_step_once(place: Place, clock: FakeClock) -> None:
    (one, heard_one), (two, heard_two) = ring_at(place, clock), ring_at(place, clock)
    for _ in range(330):
        clock.advance(1_000)
        assert one.look()
        assert two.look()
        assert one.signer.kid == two.signer.kid
        assert one.jwks == two.jwks
    assert heard_one.key_changes == heard_two.key_changes
    assert len([change for change in heard_one.key_changes if change.before == "active"]) == 3


def test_a_key_that_another_process_took_out_signs_no_more(place: Place, clock: FakeClock) -> None:
    ring, listener = ring_at(place, clock)
    compromised = ring.signer.kid
    retire(place, compromised, now_ms=START_MS)
    assert ring.look()
    assert ring.signer.kid != compromised
    assert compromised not in keys_from(ring.jwks)
    assert ("active", "retired") in moves(listener)


def test_while_another_writes_nothing_is_done_and_nothing_is_wrong(place: Place, clock: FakeClock) -> None:
    ring, listener = ring_at(place, clock)
    clock.advance(90_000)
    descriptor = os.open(place.directory, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert ring.look()
    assert [key.state.value for key in ring.keys] == ["active"]
    os.close(descriptor)
    assert ring.look()
    assert [key.state.value for key in ring.keys] == ["active", "next"]
    assert listener.ring_failures == []


def test_a_ring_that_was_spoiled_is_told_and_the_key_in_force_stays(place: Place, clock: FakeClock) -> None:
    ring, listener = ring_at(place, clock)
    kid, good = ring.signer.kid, place.ring.read_bytes()
    place.ring.write_text('{"keys": [')
    assert [ring.look(), ring.look()] == [False, False], "told again until it is mended"
    assert (ring.signer.kid, [name for name, _ in listener.ring_failures]) == (kid, ["", ""])
    assert "ring.json: is not understood" in listener.ring_failures[0][1]
    place.ring.write_bytes(good)
    assert ring.look()


def test_a_rotation_that_cannot_be_written_is_told_and_done_later(
    place: Place, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring, listener = ring_at(place, clock)
    clock.advance(95_000)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert not ring.look()
    assert "No space left on device" in listener.ring_failures[0][1]
    assert ring.look()
    assert [key.state.value for key in ring.keys] == ["active", "next"]
    assert not list(place.directory.glob(".new-*"))


def test_a_ring_put_back_to_an_older_one_is_followed_and_told(place: Place, clock: FakeClock) -> None:
    backup = {path: path.read_bytes() for path in place.directory.iterdir()}
    ring, listener = ring_at(place, clock)
    clock.advance(90_000)
    ring.look()
    for path, content in backup.items():
        path.write_bytes(content)
    clock.advance(-90_000)
    assert ring.look()
    assert moves(listener)[-1] == ("next", "retired")


async def test_the_event_loop_never_waits_for_the_disk(
    place: Place, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that hangs in fsync holds up the rotation, never a mint."""
    ring, listener = ring_at(place, clock)
    clock.advance(95_000)
    hangs, goes_on, published = asyncio.Event(), asyncio.Event(), asyncio.Event()
    loop, fsync = asyncio.get_running_loop(), os.fsync
    monkeypatch.setattr(listener, "key_changed", lambda _: loop.call_soon_threadsafe(published.set))

    def slow(descriptor: int) -> None:
        loop.call_soon_threadsafe(hangs.set)
        asyncio.run_coroutine_threadsafe(goes_on.wait(), loop).result(30)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    running = asyncio.create_task(ring.run(look_seconds=0.01))
    await asyncio.wait_for(hangs.wait(), 30)
    assert len(await ring.signer.sign([b"a", b"b"])) == 2
    goes_on.set()
    await asyncio.wait_for(published.wait(), 30)
    assert [key.state.value for key in ring.keys] == ["active", "next"]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def test_known_signers_are_not_decrypted_again(place: Place, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decrypting is slow on purpose; a look that follows a small change must not do it for every key."""
    ring, _ = ring_at(place, clock)
    signer = ring.signer
    rotate(place, BY_HAND, at_once=False, now_ms=START_MS)
    assert ring.look()
    assert ring.signer is signer


def test_a_look_that_finds_nothing_new_reads_no_key(
    place: Place, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring, listener = ring_at(place, clock)

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(file_ring, "load_ring", never)
    assert ring.look()
    assert listener.ring_failures == []


def test_an_issuer_that_starts_after_a_kill_completes_what_was_left(place: Place, clock: FakeClock) -> None:
    """A private key in a half-written file must not lie there until the next rotation in a month."""
    (place.directory / ".new-left").write_bytes(b"half a private key")
    place.private("o" * 43).write_bytes(b"a key that no ring ever named")
    ring, listener = ring_at(place, clock)
    assert ring.look()
    assert {path.name for path in place.directory.iterdir()} == {
        "ring.json", "jwks.json", place.private(ring.signer.kid).name,
    }  # fmt: skip
    assert (ring.look(), listener.ring_failures) == (True, [])


def test_a_key_set_that_was_laid_out_anew_needs_no_writing(place: Place, clock: FakeClock) -> None:
    """A ring on a file system that nobody may write turns no keys; an issuer must not complain of it for ever."""
    place.jwks.write_text(json.dumps(json.loads(place.jwks.read_text())))
    before = place.jwks.stat()
    ring, listener = ring_at(place, clock)
    assert (ring.look(), listener.ring_failures) == (True, [])
    assert place.jwks.stat().st_ino == before.st_ino


def test_a_ring_that_changes_while_it_is_read_is_read_again(
    place: Place, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its old key is deleted between the look at the ring and the look at the key: no fault, only bad luck."""
    ring, listener = ring_at(place, clock)
    (place.ring).touch()

    def overtaken(there: Place, keys: Keys) -> object:
        if len(keys) == 1:
            retire(there, keys[0].kid, now_ms=START_MS)
        return public_keys(there, keys)

    monkeypatch.setattr(loading, "public_keys", overtaken)
    assert ring.look()
    assert listener.ring_failures == []
    assert [key.state.value for key in ring.keys] == ["retired", "active"]


def test_a_ring_that_never_stands_still_is_told(
    place: Place, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring, listener = ring_at(place, clock)
    stamps = iter(range(1_000))
    monkeypatch.setattr(loading, "stamp_of", lambda _: next(stamps))
    place.ring.touch()
    assert not ring.look()
    assert "keeps changing" in listener.ring_failures[0][1]
