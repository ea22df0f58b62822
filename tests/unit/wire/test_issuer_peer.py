"""Under which network a peer's failures count."""

import pytest

from ott_extauthz.wire.issuer_peer import network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),  # the same peer, on a socket that takes both
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_a_subscribers_addresses_count_together(address: str, network: str) -> None:
    assert network_of(address) == network
