"""Private keys at rest: modes, passphrases, and messages that quote nothing."""

import os
from pathlib import Path

import pytest

from ott_extauthz.stores.keyring import (
    FileRing,
    KeyFileError,
    Place,
    init_keys,
    init_ring,
    load_ring,
    retire,
    rotate,
)  # fmt: skip
from tests.fakes.clock import START_MS, FakeClock
from tests.fakes.issuing import Remembering
from tests.unit.stores.keyring.conftest import BY_HAND, ROTATION

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def encrypted(tmp_path: Path) -> Place:
    (tmp_path / "passphrase").write_text(PASSPHRASE + "\n")
    (tmp_path / "passphrase").chmod(0o600)
    place = Place(directory=tmp_path / "keys", passphrase_file=tmp_path / "passphrase")
    init_ring(place, now_ms=START_MS)
    return place


def private_files(place: Place) -> list[Path]:
    return sorted(place.directory.glob("signing-*.pem"))


def refused(place: Place, said: str) -> str:
    with pytest.raises(KeyFileError, match=said) as caught:
        load_ring(place)
    assert PASSPHRASE not in str(caught.value)
    assert "BEGIN" not in str(caught.value)
    return str(caught.value)


def test_with_a_passphrase_every_private_key_is_encrypted_those_of_rotations_too(encrypted: Place) -> None:
    rotate(encrypted, BY_HAND, at_once=True, now_ms=START_MS)
    assert len(private_files(encrypted)) == 2
    for path in private_files(encrypted):
        assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
        assert path.stat().st_mode & 0o777 == 0o600
    assert load_ring(encrypted).signer.kid == load_ring(encrypted).keys[1].kid


@pytest.mark.parametrize("wrong", ["other", PASSPHRASE + " ", PASSPHRASE[:-1]])
def test_a_wrong_passphrase_opens_nothing_and_is_quoted_nowhere(encrypted: Place, wrong: str) -> None:
    assert encrypted.passphrase_file is not None
    encrypted.passphrase_file.write_text(wrong)
    assert wrong not in refused(encrypted, "cannot be decrypted with the passphrase").replace("passphrase", "")


def test_without_the_passphrase_an_encrypted_key_is_told_as_such(encrypted: Place) -> None:
    refused(Place(directory=encrypted.directory), "is encrypted; name the passphrase's file")


def test_a_key_in_the_clear_is_not_taken_where_a_passphrase_is_configured(encrypted: Place, tmp_path: Path) -> None:
    init_keys(tmp_path / "clear", now_ms=START_MS)
    refused(Place(directory=tmp_path / "clear", passphrase_file=encrypted.passphrase_file), "is not encrypted")


def test_the_passphrase_file_is_a_secret_itself(encrypted: Place) -> None:
    assert encrypted.passphrase_file is not None
    encrypted.passphrase_file.chmod(0o644)
    refused(encrypted, "passphrase: its mode 0644 lets others")
    encrypted.passphrase_file.chmod(0o440)
    assert load_ring(encrypted).signer.kid, "a mounted Secret is readable by its group"
    encrypted.passphrase_file.chmod(0o600)
    encrypted.passphrase_file.write_text("\n")
    refused(encrypted, "passphrase: is empty")
    encrypted.passphrase_file.unlink()
    refused(encrypted, "passphrase: is missing")


def test_a_missing_passphrase_makes_no_key_in_the_clear(encrypted: Place) -> None:
    assert encrypted.passphrase_file is not None
    encrypted.passphrase_file.unlink()
    with pytest.raises(KeyFileError, match="passphrase: is missing"):
        rotate(encrypted, BY_HAND, at_once=False, now_ms=START_MS)
    assert len(private_files(encrypted)) == 1


def test_a_key_that_cannot_be_read_is_not_activated(encrypted: Place) -> None:
    """The ring would name a key that nobody can sign with, and no issuer could start."""
    rotate(encrypted, BY_HAND, at_once=False, now_ms=START_MS)
    following = load_ring(encrypted).keys[1].kid
    encrypted.private(following).write_bytes(b"spoiled")
    encrypted.private(following).chmod(0o600)
    with pytest.raises(KeyFileError, match="is not encrypted"):
        rotate(encrypted, BY_HAND, at_once=True, now_ms=START_MS)
    retire(encrypted, following, now_ms=START_MS)
    assert load_ring(encrypted).keys[0].state == "active"


def mounted(tmp_path: Path, number: int) -> Place:
    """A Secret as a kubelet mounts it with an fsGroup: ..data leads to a folder, files are 0440 symlinks."""
    source = Place(directory=tmp_path / f"source-{number}")
    init_ring(source, now_ms=START_MS + number)
    folder = tmp_path / "mount" / f"..{number}"
    folder.mkdir(parents=True)
    for path in source.directory.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
        (folder / path.name).chmod(0o440)
        link = tmp_path / "mount" / path.name
        link.unlink(missing_ok=True)
        link.symlink_to(Path("..data") / path.name)
    swapped = tmp_path / "mount" / "..data_tmp"
    swapped.symlink_to(folder.name)
    swapped.rename(tmp_path / "mount" / "..data")
    for link in (tmp_path / "mount").glob("*"):
        if not link.exists():
            link.unlink()
    return Place(directory=tmp_path / "mount", is_read_only=True)


def listing(place: Place) -> list[tuple[str, int]]:
    return sorted((path.name, path.lstat().st_mtime_ns) for path in place.directory.iterdir())


def test_a_mounted_secret_is_followed_without_a_restart_and_never_written(tmp_path: Path) -> None:
    clock, listener = FakeClock(), Remembering()
    place = mounted(tmp_path, 1)
    before = listing(place)
    ring = FileRing("", place, rotation=ROTATION, clock=clock, listener=listener)
    old = ring.signer.kid
    clock.advance(10**9)
    assert ring.look()
    assert (ring.signer.kid, listing(place)) == (old, before), "due by the schedule, but not ours to turn"
    mounted(tmp_path, 2)
    after = listing(place)
    assert ring.look()
    assert ring.signer.kid != old
    assert (listing(place), listener.ring_failures) == (after, [])


def test_group_readable_keys_are_for_read_only_rings_alone(tmp_path: Path) -> None:
    place = mounted(tmp_path, 1)
    with pytest.raises(KeyFileError, match="0440 lets others"):
        load_ring(Place(directory=place.directory))
    (private,) = [path.resolve() for path in private_files(place)]
    for mode in (0o444, 0o460, 0o640 | 0o020, 0o441):
        private.chmod(mode)
        with pytest.raises(KeyFileError, match=f"{mode:04o} lets others"):
            load_ring(place)


def test_a_read_only_ring_refuses_every_change_with_a_clear_message(tmp_path: Path) -> None:
    place = mounted(tmp_path, 1)
    kid, before = load_ring(place).signer.kid, listing(place)
    for change in (
        lambda: rotate(place, ROTATION, at_once=True, now_ms=START_MS),
        lambda: retire(place, kid, now_ms=START_MS),
        lambda: init_ring(place, now_ms=START_MS),
    ):
        with pytest.raises(KeyFileError, match="configured as read_only"):
            change()
    assert listing(place) == before
    assert not os.path.lexists(place.directory / ".new-")
