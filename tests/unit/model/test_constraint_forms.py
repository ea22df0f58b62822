"""What a constraint's text means; what cannot be read is a mistake and never no constraint."""

from ipaddress import IPv4Network, IPv6Network

import pytest

from ott_extauthz.model.constraint_forms import (
    MAX_COUNT,
    MOST_VALUES,
    count_from,
    names_from,
    networks_from,
    numbers_from,
    rate_from,
    windows_from,
)
from ott_extauthz.model.mandate import RateLimit


def test_one_value_is_a_list_of_one() -> None:
    assert names_from("A") == names_from(["A"]) == frozenset({"A"})
    assert numbers_from(64500) == numbers_from([64500]) == frozenset({64500})
    assert networks_from("10.0.0.0/8") == (IPv4Network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.7", IPv4Network("10.0.0.7/32")),
        ("0.0.0.0/0", IPv4Network("0.0.0.0/0")),
        ("::/0", IPv6Network("::/0")),
        ("2001:DB8::/32", IPv6Network("2001:db8::/32")),
        ("::ffff:10.0.0.0/104", IPv4Network("10.0.0.0/8")),
        ("::ffff:0:0/96", IPv4Network("0.0.0.0/0")),
        ("::ffff:1.2.3.4", IPv4Network("1.2.3.4/32")),
        ("::ffff:0:0/95", None),
    ],
)
def test_an_ipv4_network_has_one_spelling(text: str, network: object) -> None:
    if network is None:
        with pytest.raises(ValueError, match="behind the prefix"):
            networks_from(text)
    else:
        assert networks_from([text]) == (network,)


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/0.0.0.255",
        "10.0.0",
        "010.0.0.0/8",
        "1",
        "fe80::1%eth0",
        "::/129",
        "",
        "10.0.0.0/8 ",
        "any",
        "10.0.0.0/-1",
        "10.0.0.0/",
        None,
        167772160,
        ["10.0.0.0/8", None],
        [[]],
    ],
)
def test_a_network_that_is_none_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="network"):
        networks_from(text)


@pytest.mark.parametrize("value", ["", "a,b", 'a"b', "a\\b", "a b", "\x7f", "é", "x" * 65, None, 1, True, {}, [None]])
def test_a_name_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="name"):
        names_from(value)


@pytest.mark.parametrize("value", [0, -1, 2**32, True, 1.0, "64500", "AS64500", None, [None]])
def test_an_as_number_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="number"):
        numbers_from(value)


@pytest.mark.parametrize("read", [names_from, networks_from, numbers_from, windows_from])
def test_an_empty_list_would_allow_nothing_and_look_like_anything(read: object) -> None:
    assert callable(read)
    for value in ([], ["x"] * (MOST_VALUES + 1)):
        with pytest.raises(ValueError, match="list of 1 to"):
            read(value)


def test_a_list_may_have_as_many_values_as_its_bound() -> None:
    assert len(names_from([f"b{number}" for number in range(MOST_VALUES)])) == MOST_VALUES


@pytest.mark.parametrize(
    ("per", "period_ms"), [("1m", 60_000), ("500ms", 500), ("31d", 2_678_400_000), ("1h", 3_600_000)]
)
def test_a_rate_has_a_count_and_a_period(per: str, period_ms: int) -> None:
    assert rate_from({"count": 10, "per": per}) == RateLimit(10, period_ms)


@pytest.mark.parametrize(
    "value",
    [
        None,
        10,
        "10/m",
        {"count": 10},
        {"count": 10, "per": "1m", "burst": 5},
        {"count": 10, "per": "0s"},
        {"count": 10, "per": "32d"},
        {"count": 10, "per": "1.5m"},
        {"count": 10, "per": "1w"},
        {"count": 10, "per": 60},
        {"count": 0, "per": "1m"},
        {"count": True, "per": "1m"},
        {"count": 1.0, "per": "1m"},
        {"count": "1", "per": "1m"},
    ],
)
def test_a_rate_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"rate|per|count"):
        rate_from(value)


def test_a_count_is_bounded() -> None:
    assert count_from(MAX_COUNT) == MAX_COUNT
    with pytest.raises(ValueError, match="count"):
        count_from(MAX_COUNT + 1)
