"""One signature has one spelling."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ott_extauthz.authn.padded_base64 import decoded, encoded


@given(st.binary(max_size=100))
def test_bytes_come_back_and_are_spelled_as_everybody_spells_them(raw: bytes) -> None:
    assert encoded(raw) == base64.b64encode(raw).decode()
    assert decoded(encoded(raw)) == raw


@given(st.text(alphabet="ABab01+/=-_ \n", max_size=12))
def test_whatever_is_read_has_no_other_spelling(text: str) -> None:
    raw = decoded(text)
    assert raw is None or encoded(raw) == text


@pytest.mark.parametrize("text", ["QQ", "QQ=", "QR==", "QUJ=", "Q", "QQ==\n", " QQ==", "Q-_=", "QQ==QQ==", "=", "QUé="])
def test_no_padding_no_stray_bits_no_other_alphabet(text: str) -> None:
    assert decoded(text) is None
