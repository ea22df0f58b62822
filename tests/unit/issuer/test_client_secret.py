"""Secrets: made by us, kept as hashes, and compared alike whoever's they are."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ott_extauthz.issuer import client_secret
from ott_extauthz.issuer.client_secret import (
    NOBODYS,
    SecretFileError,
    SecretHash,
    SecretHashes,
    hashes_from,
    new_secret,
)

SECRET, KEPT = new_secret(secrets.token_bytes)
OLD, OLD_KEPT = new_secret(secrets.token_bytes)
GOOD = KEPT.line


def test_a_secret_matches_its_own_hash_and_none_of_another() -> None:
    assert SecretHashes((KEPT,)).match(SECRET)
    assert SecretHashes((KEPT, OLD_KEPT)).match(OLD)
    assert not SecretHashes((KEPT,)).match(OLD)
    assert not NOBODYS.match(SECRET)


def test_a_secret_holds_256_random_bits_and_no_two_are_alike() -> None:
    made = {new_secret(secrets.token_bytes) for _ in range(100)}
    assert len({secret for secret, _ in made}) == len({kept.salt for _, kept in made}) == 100
    assert {len(secret) for secret, _ in made} == {47}


def test_entropy_that_runs_short_makes_no_secret() -> None:
    with pytest.raises(RuntimeError, match="entropy"):
        new_secret(lambda count: b"x" * (count - 1))


def test_as_much_is_computed_for_nobody_as_for_one_and_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    real = client_secret._digest

    def counting(salt: bytes, secret: bytes) -> bytes:
        counted.append(len(secret))
        return real(salt, secret)

    monkeypatch.setattr(client_secret, "_digest", counting)
    for hashes in (NOBODYS, SecretHashes((KEPT,)), SecretHashes((KEPT, OLD_KEPT))):
        for said in (SECRET, "ott_" + "A" * 43):
            counted.clear()
            hashes.match(said)
            assert counted == [47, 47]


@given(st.text())
def test_whatever_is_said_is_no_secret_unless_it_is(text: str) -> None:
    assert not SecretHashes((KEPT, OLD_KEPT)).match(text)


def test_what_does_not_look_like_ours_is_none_even_with_its_hash() -> None:
    """A secret that a person chose, hashed by hand and put into the file, is weak; a fast hash does not save it."""
    salt = b"s" * 16
    assert not SecretHashes((SecretHash(salt, client_secret._digest(salt, b"hunter2")),)).match("hunter2")


def test_a_file_is_read_as_it_was_written() -> None:
    assert hashes_from(f"{GOOD}\n{OLD_KEPT.line}\n").hashes == (KEPT, OLD_KEPT)


@pytest.mark.parametrize(
    "text",
    ["", "\n", "hunter2", SECRET, f"{GOOD}\n" * 3, GOOD[:-2], GOOD + "A", GOOD.replace("sha256", "md5"), f"{GOOD}\n\n"],
    ids=range(9),
)
def test_what_is_no_file_of_hashes_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(SecretFileError) as caught:
        hashes_from(text)
    assert "hunter2" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_nothing_shows_a_hash() -> None:
    assert KEPT.digest.hex() not in repr(SecretHashes((KEPT,)))
    assert "digest" not in repr(KEPT)
