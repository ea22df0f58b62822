"""One target, one spelling: RFC 3986 §6.2.2 and §6.2.3, and nothing repaired."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ott_extauthz.authn.target_uri import MAX_CHARACTERS, normal_target


@pytest.mark.parametrize(
    ("uri", "spelled"),
    [
        ("https://a.example/token", "https://a.example/token"),
        ("HTTPS://A.Example:443/token?x#y", "https://a.example/token"),
        ("https://a.example:/", "https://a.example/"),
        ("https://a.example", "https://a.example/"),
        ("https://a.example?x=/../", "https://a.example/"),
        ("http://a.example:80/", "http://a.example/"),
        ("http://a.example:443/", "http://a.example:443/"),
        ("https://a.example:08443/", "https://a.example:8443/"),
        ("https://a.example/%7euser/%2f%3a/%41", "https://a.example/~user/%2F%3A/A"),
        ("https://a.example/a/./b/../c", "https://a.example/a/c"),
        ("https://a.example/a/%2e%2E/c", "https://a.example/c"),
        ("https://a.example/a/..", "https://a.example/"),
        ("https://a.example/a/b/.", "https://a.example/a/b/"),
        ("https://a.example/../../a", "https://a.example/a"),
        ("https://a.example//a/", "https://a.example//a/"),
        ("https://[0:0::1]:8443/x", "https://[::1]:8443/x"),
        ("https://127.0.0.1:9003/token", "https://127.0.0.1:9003/token"),
        ("https://a.example/Token", "https://a.example/Token"),
        ("https://a.example/%252e%252e/a", "https://a.example/%252e%252e/a"),
    ],
)
def test_one_spelling(uri: str, spelled: str) -> None:
    assert normal_target(uri) == spelled
    assert normal_target(spelled) == spelled


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/token",
        "//a.example/token",
        "ftp://a.example/token",
        "https:/a.example/token",
        "https://",
        "https:///token",
        "https://user@a.example/token",
        "https://a.example@evil.example/token",
        "https://a.example%2eevil/token",
        "https://a.example\\@evil/token",
        "https://a.example:0/token",
        "https://a.example:65536/token",
        "https://a.example:4_4/token",
        "https://a.example:٤٤٣/token",
        "https://[::1/token",
        "https://[::g]/token",
        "https://\u212a.example/token",
        "https://ä.example/token",
        "https://a.example/tok en",
        "https://a.example/token\n",
        "https://a.example/%zz",
        "https://a.example/%2",
        "https://a.example/tökén",
        "https://a.example/" + "a" * MAX_CHARACTERS,
    ],
)
def test_no_target(uri: str) -> None:
    assert normal_target(uri) is None


@given(st.text(alphabet="aB/.%2eE7f~?#:@[]", max_size=30))
def test_a_spelling_is_its_own_and_has_no_dot_segment(rest: str) -> None:
    spelled = normal_target("https://a.example/" + rest)
    if spelled is not None:
        assert normal_target(spelled) == spelled
        assert not {".", ".."} & set(spelled.split("/"))
        assert not set("?#") & set(spelled)
