import pytest

from ott_extauthz.policy.expressions.addresses import canonical, is_in, network_from, ranges
from ott_extauthz.policy.expressions.faults import ValueFault


@pytest.mark.parametrize(
    ("address", "networks", "expected"),
    [
        ("10.0.0.0", "10.0.0.0/8", True),
        ("10.255.255.255", "10.0.0.0/8", True),
        ("11.0.0.0", "10.0.0.0/8", False),
        ("9.255.255.255", "10.0.0.0/8", False),
        ("10.0.0.1", "10.0.0.1/32", True),
        ("10.0.0.2", "10.0.0.1/32", False),
        ("255.255.255.255", "0.0.0.0/0", True),
        ("2001:db8::", "2001:db8::/32", True),
        ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::/32", True),
        ("2001:db9::", "2001:db8::/32", False),
        ("::ffff:10.1.2.3", "10.0.0.0/8", True),
        ("::FFFF:0a01:0203", "10.0.0.0/8", True),
        ("10.1.2.3", "::ffff:10.0.0.0/104", True),
        ("11.1.2.3", "::ffff:10.0.0.0/104", False),
        ("10.1.2.3", "::/0", False),
        ("::10.1.2.3", "10.0.0.0/8", False),
        ("::1", "0.0.0.0/0", False),
    ],
)
def test_membership_at_both_edges(address: str, networks: str, expected: bool) -> None:  # noqa: FBT001
    assert is_in(canonical(address), ranges(networks)) is expected


NO_ADDRESS = ["", "10.0.0", "10.0.0.256", "010.0.0.1", "0x0a.0.0.1", "167772161", "10.0.0.1 ", "10.0.0.1:80", "[::1]"]
NO_ADDRESS += ["fe80::1%eth0", "::1/128", "localhost", "\u0661.1.1.1", "1" * 10_000]


@pytest.mark.parametrize("text", NO_ADDRESS)
def test_what_only_some_parsers_read_is_no_address(text: str) -> None:
    with pytest.raises(ValueFault):
        canonical(text)


@pytest.mark.parametrize(
    "text",
    ["", "10.0.0.0", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "2001:db8::/129", "10.0.0.0/8/8", "/8", "fe80::%1/64"],
)
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ValueFault):
        network_from(text)


def test_an_empty_list_of_ranges_holds_nothing_and_a_bad_one_spoils_the_list() -> None:
    assert is_in("10.0.0.1", ranges([])) is False
    with pytest.raises(ValueFault):
        ranges(["10.0.0.0/8", "nonsense"])
