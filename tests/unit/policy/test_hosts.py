"""Which host patterns lie within which: what the load-time checks of a policy lean on."""

import pytest

from ott_extauthz.policy.hosts import is_within, name_and_port, patterns_of


@pytest.mark.parametrize(
    ("host", "pattern", "expected"),
    [
        ("a.api", None, True),
        ("a.api", "a.api", True),
        ("a.api", "b.api", False),
        ("a.api", "*.api", True),
        ("b.a.api", "*.api", True),
        ("*.a.api", "*.api", True),
        ("*.api", "*.api", True),
        ("*.api", "*.a.api", False),
        ("api", "*.api", False),
        ("xapi", "*.api", False),
        ("evil.example", "*.api", False),
        ("a.api:8443", "*.api", False),
        ("a.api", "*.api:8443", False),
        ("a.api:8443", "*.api:8443", True),
        ("*.a.api:8443", "*.api:8443", True),
        ("evil.example:8443", "*.api:8443", False),
        ("*.api", "a.api", False),
    ],
)
def test_a_host_is_within_a_pattern_when_name_and_port_are(host: str, pattern: str | None, *, expected: bool) -> None:
    assert is_within(host, pattern) is expected


def test_every_pattern_that_could_speak_for_a_host_the_narrowest_first() -> None:
    assert list(patterns_of("b.a.api:81")) == ["b.a.api:81", "*.a.api:81", "*.api:81", None]
    assert list(patterns_of("*.a.api")) == ["*.a.api", "*.api", None]
    assert list(patterns_of("[::1]:81")) == ["[::1]:81", None]
    assert list(patterns_of("api")) == ["api", None]


def test_the_last_group_of_an_ipv6_address_is_no_port() -> None:
    assert name_and_port("[::1]") == ("[::1]", "")
    assert name_and_port("[::1]:81") == ("[::1]", ":81")
    assert name_and_port("a:81") == ("a", ":81")
