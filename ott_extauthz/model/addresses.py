"""Which address, and which network, is meant?  Each has one spelling: IPv4 inside IPv6 (RFC 4291 §2.5.5.2) is IPv4."""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NETWORK: Final = re.compile(r"[0-9a-fA-F.:]{2,45}(?:/[0-9]{1,3})?", re.ASCII)
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052: behind a translator, all of IPv4 is in one /64
_SUBSCRIBER: Final = 64


def address_from(text: str) -> Address | None:
    """Read an address; one with a scope (``%eth0``) is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return None if address.scope_id is not None else address.ipv4_mapped or address
    return address


def neighbourhood(text: str) -> str:
    """Name all addresses that whoever has one of them has for nothing: an IPv4 address alone, in IPv6 its /64.

    What is no address, a pipe's or none at all, is its own name.
    """
    address = address_from(text.partition("%")[0])
    if address is None:
        return text
    if isinstance(address, IPv4Address):
        return str(address)
    if address in _NAT64:
        return str(IPv4Address(int(address) & 0xFFFFFFFF))
    return str(IPv6Network((address, _SUBSCRIBER), strict=False))


def network_from(value: object) -> Network:
    """Read a network, or one address.

    Raises:
        ValueError: what is wrong with it, in one line.
    """
    if not isinstance(value, str) or not _NETWORK.fullmatch(value):
        raise ValueError("a network is written 10.0.0.0/8, 2001:db8::/32, or as one address")
    try:
        network = ip_network(value)
    except ValueError:
        raise ValueError("not a network: a bad address or length, or bits set behind the prefix") from None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        return IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - _MAPPED.prefixlen))
    return network
