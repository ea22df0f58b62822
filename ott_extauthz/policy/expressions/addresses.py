"""Is this address in that range?  IPv4 and IPv6 (RFC 4291); a v4-mapped address is the IPv4 address it maps."""

import ipaddress
from functools import lru_cache
from typing import Final

from ott_extauthz.policy.expressions.faults import ValueFault

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAX_CHARACTERS: Final = 64
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")


def address_from(text: str) -> Address:
    """Return the address.

    Raises:
        ValueFault: not an address in its plain spelling; a zone (``%eth0``) is none.
    """
    if len(text) > _MAX_CHARACTERS or "%" in text:
        raise ValueFault("not an IP address")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueFault("not an IP address") from None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@lru_cache(maxsize=1024)
def network_from(text: str) -> Network:
    """Return the range.

    Raises:
        ValueFault: not ``address/length``, or bits set behind the length, which is mostly a slip.
    """
    if len(text) > _MAX_CHARACTERS or "/" not in text or "%" in text:
        raise ValueFault("not a range of addresses: write 10.0.0.0/8")
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        raise ValueFault("not a range of addresses: write 10.0.0.0/8, without bits behind the length") from None
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        mapped = int(network.network_address) & 0xFFFFFFFF
        return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED.prefixlen))
    return network


def canonical(text: str) -> str:
    """CEL ``ip(text)``: the one spelling of the address, so that equal addresses are equal texts."""
    return str(address_from(text))


def ranges(text: str | list[str]) -> str:
    """CEL ``cidr(text)`` and ``cidr(list)``: the ranges, each checked; an empty list holds no address."""
    return " ".join(str(network_from(one)) for one in ([text] if isinstance(text, str) else text))


def is_in(address: str, networks: str) -> bool:
    """CEL ``ip(x) in cidr(y)``, over what :func:`canonical` and :func:`ranges` returned."""
    parsed = ipaddress.ip_address(address)
    return any(parsed in network_from(one) for one in networks.split())
