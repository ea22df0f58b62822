"""Attacks on the form of an API key, and what a scanner may rely on."""

import re
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ott_extauthz.authn.api_key_form import _checksum, digest_of, id_in, new_key
from tests.fakes.api_keys import made

KEY = made().text


def test_a_key_has_the_form_that_the_manual_gives_to_scanners() -> None:
    for prefix in ("ottkey", "acme", "a1"):
        key = new_key(prefix, secrets.token_bytes)
        assert re.fullmatch(rf"{prefix}_[0-9A-Za-z]{{11}}\.[0-9A-Za-z]{{49}}", key.text)
        assert id_in(key.text) == key.id
        assert key.digest == digest_of(key.text)


def test_no_two_keys_are_alike_and_none_is_shown_by_accident() -> None:
    keys = [new_key("ottkey", secrets.token_bytes) for _ in range(100)]
    assert len({key.text for key in keys}) == len({key.id for key in keys}) == 100
    assert keys[0].text not in repr(keys[0])
    assert repr(keys[0].digest) not in repr(keys[0])


@pytest.mark.parametrize("number", [0, 255])
def test_all_bits_of_the_secret_are_in_the_key(number: int) -> None:
    """256 bits fit into 43 digits, whatever they are; the two ends of their range are two keys of one length."""
    secret = made(number).text.partition(".")[2][:43]
    value = 0
    for digit in secret:
        value = value * 62 + "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".index(digit)
    assert value == int.from_bytes(bytes([number]) * 32, "big")


def test_entropy_that_runs_dry_makes_no_key() -> None:
    with pytest.raises(RuntimeError):
        new_key("ottkey", lambda count: b"\1" * (count - 1))


@pytest.mark.parametrize("prefix", ["", "a", "Acme", "1a", "a_b", "a.b", "a" * 17, "ab\n"])
def test_a_prefix_that_no_scanner_could_tell_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="a prefix is"):
        new_key(prefix, secrets.token_bytes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        KEY[:-1],
        KEY[1:],
        KEY[:-6],
        KEY + "0",
        KEY + "\n",
        " " + KEY,
        KEY.replace("_", "-"),
        KEY.replace(".", ":"),
        KEY.replace(".", ""),
        KEY.upper(),
        KEY.swapcase(),
        KEY.replace("ottkey", "acme"),
        KEY.partition("_")[2],
        KEY.replace("0", "\u0660", 1) if "0" in KEY else KEY + "\u0660",
        "ApiKey " + KEY,
        KEY + "," + KEY,
        "x" * 8192,
    ],
)
def test_what_is_cut_off_changed_or_of_another_form_is_no_key(text: str) -> None:
    assert id_in(text) is None


@pytest.mark.parametrize("more", ["x", "\n", " ", ",acme_" + KEY[7:], "0" * 1000])
def test_a_longer_text_is_no_key_even_if_its_checksum_fits(more: str) -> None:
    assert id_in(KEY[:-6] + _checksum(KEY[:-6])) == made().id
    assert id_in(KEY + more + _checksum(KEY + more)) is None


@given(st.integers(0, len(KEY) - 1), st.characters(codec="ascii"))
def test_every_typo_is_told(at: int, character: str) -> None:
    changed = KEY[:at] + character + KEY[at + 1 :]
    assert (id_in(changed) is None) == (changed != KEY)


@given(st.text())
def test_any_text_is_a_key_or_none(text: str) -> None:
    assert id_in(text) is None
