"""The Basic header (RFC 7617, RFC 6749 §2.3.1): both parts form-encoded, and read strictly."""

import base64
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ott_extauthz.issuer.basic import BasicCredentials, basic_from, is_basic


def header(both: str | bytes, scheme: str = "Basic") -> str:
    raw = both.encode() if isinstance(both, str) else both
    return f"{scheme} {base64.b64encode(raw).decode()}"


@given(st.text(), st.text())
def test_whatever_is_encoded_is_read_back(client_id: str, secret: str) -> None:
    encoded = f"{quote_plus(client_id, errors='surrogatepass')}:{quote_plus(secret, errors='surrogatepass')}"
    assert basic_from(header(encoded)) == BasicCredentials(client_id, secret)


@given(st.text())
def test_whatever_comes_is_read_or_refused(text: str) -> None:
    basic_from(text)
    basic_from("Basic " + text)
    basic_from(header(text.encode("utf-8", "surrogatepass")))


def test_rfc_6749_section_2_3_1() -> None:
    assert basic_from("Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3") == BasicCredentials(
        "s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw"
    )


def test_the_first_colon_parts_them_and_an_encoded_one_does_not() -> None:
    assert basic_from(header("a%3Ab:c:d")) == BasicCredentials("a:b", "c:d")


@pytest.mark.parametrize("scheme", ["basic", "BASIC", "Basic"])
def test_the_scheme_has_no_case(scheme: str) -> None:
    assert is_basic(header("a:b", scheme))
    assert basic_from(header("a:b", scheme)) == BasicCredentials("a", "b")


@pytest.mark.parametrize(
    "text",
    [
        "Basic",
        "Basic ",
        "Basic YTpi YTpi",
        "Basic YTp",
        "Basic YTpi=",
        "Basic YTpiYg",
        "Basic YT!pi",
        header("nocolon"),
        header("a%zz:b"),
        header("a%4:b"),
        header("a:%"),
        header(b"a:%ff"),
        header(b"\xff:b"),
    ],
)
def test_what_is_malformed_is_nobody(text: str) -> None:
    assert basic_from(text) is None


def test_nothing_shows_a_secret() -> None:
    assert "hunter2" not in repr(BasicCredentials("a", "hunter2"))
