"""One reader of addresses and networks, for mandates, routes and conditions alike."""

from ipaddress import IPv4Address, IPv6Address

import pytest

from ott_extauthz.model.addresses import Address, address_from, neighbourhood, network_from


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.7", IPv4Address("10.0.0.7")),
        ("::ffff:10.0.0.7", IPv4Address("10.0.0.7")),
        ("::FFFF:0a00:0007", IPv4Address("10.0.0.7")),
        ("::10.0.0.7", IPv6Address("::10.0.0.7")),
        ("2001:DB8::1", IPv6Address("2001:db8::1")),
        ("fe80::1%eth0", None),
        ("010.0.0.7", None),
        ("10.0.0.7:80", None),
        ("@/var/run/socket", None),
        ("", None),
    ],
)
def test_an_address_has_one_spelling_or_is_none(text: str, address: Address | None) -> None:
    assert address_from(text) == address


@pytest.mark.parametrize("value", [None, ["10.0.0.0/8"], "10.0.0.1/8", "10.0.0.0/255.0.0.0", "::%1/8", "x" * 46])
def test_what_is_no_network_is_told_without_being_quoted(value: object) -> None:
    with pytest.raises(ValueError, match="network") as caught:
        network_from(value)
    assert str(value) not in str(caught.value)


@pytest.mark.parametrize(("address", "network"), [
    ("192.0.2.1", "192.0.2.1"),
    ("::ffff:192.0.2.1", "192.0.2.1"),  # the same one, on a socket that takes both
    ("64:ff9b::192.0.2.1", "192.0.2.1"),  # and behind a NAT64, where all of IPv4 would be one neighbourhood
    ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    ("2001:db8:1:2::", "2001:db8:1:2::/64"),
    ("fe80::1%eth0", "fe80::/64"),
    ("/run/envoy.sock", "/run/envoy.sock"),
    ("", ""),
])  # fmt: skip
def test_a_subscribers_addresses_count_together(address: str, network: str) -> None:
    assert neighbourhood(address) == network
