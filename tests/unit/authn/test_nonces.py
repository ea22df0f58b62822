"""A nonce is one of ours and fresh, or it is none."""

import pytest

from ott_extauthz.authn.base64url import decoded
from ott_extauthz.authn.nonces import Nonces

SLOT = 60_000
START = 29_900_000 * SLOT
NONCES = Nonces(secret=b"\7" * 32, slot_ms=SLOT)


@pytest.mark.parametrize("age_ms", [0, 1, SLOT - 1, SLOT, 2 * SLOT - 1])
def test_a_nonce_lives_into_the_next_slot(age_ms: int) -> None:
    assert NONCES.accepts(NONCES.current(START), START + age_ms)


@pytest.mark.parametrize("age_ms", [2 * SLOT, 3 * SLOT, 10 * SLOT, -1001, -SLOT])
def test_a_nonce_dies_and_none_comes_from_the_future(age_ms: int) -> None:
    assert not NONCES.accepts(NONCES.current(START), START + age_ms)


def test_an_issuer_whose_clock_is_a_little_ahead_hands_out_good_nonces() -> None:
    assert NONCES.accepts(NONCES.current(START), START - 1000)


def test_those_who_share_a_secret_and_only_those_accept_each_others() -> None:
    nonce = NONCES.current(START)
    assert Nonces(secret=b"\7" * 32, slot_ms=SLOT).accepts(nonce, START)
    assert not Nonces(secret=b"\7" * 31 + b"\6", slot_ms=SLOT).accepts(nonce, START)


@pytest.mark.parametrize("nonce", ["", "x", "\ud800", "ä", "0"])
def test_garbage_is_no_nonce(nonce: str) -> None:
    assert not NONCES.accepts(nonce, START)
    assert not NONCES.accepts(NONCES.current(START) + nonce, START) or not nonce


def test_a_nonce_is_long_enough_and_changes() -> None:
    nonce = NONCES.current(START)
    assert len(decoded(nonce) or b"") == 18
    assert NONCES.current(START + SLOT - 1) == nonce != NONCES.current(START + SLOT)


def test_a_short_secret_makes_no_nonces() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        Nonces(secret=b"\7" * 31, slot_ms=SLOT)


def test_the_secret_is_not_shown() -> None:
    assert "\\x07" not in repr(NONCES)
