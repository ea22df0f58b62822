"""Is this address in that range?  IPv4 and IPv6 (RFC 4291); a v4-mapped address is the IPv4 address it maps."""

from functools import lru_cache
from ipaddress import ip_address

from ott_extauthz.model import addresses
from ott_extauthz.model.addresses import Address, Network
from ott_extauthz.policy.expressions.faults import ValueFault


def address_from(text: str) -> Address:
    """Return the address.

    Raises:
        ValueFault: not an address in its plain spelling; a zone (``%eth0``) is none.
    """
    address = addresses.address_from(text)
    if address is None:
        raise ValueFault("not an IP address")
    return address


@lru_cache(maxsize=1024)
def network_from(text: str) -> Network:
    """Return the range.

    Raises:
        ValueFault: not ``address/length``, or bits set behind the length, which is mostly a slip.
    """
    try:
        if "/" in text:
            return addresses.network_from(text)
    except ValueError:
        pass
    raise ValueFault("not a range of addresses: write 10.0.0.0/8, without bits behind the length")


def canonical(text: str) -> str:
    """CEL ``ip(text)``: the one spelling of the address, so that equal addresses are equal texts."""
    return str(address_from(text))


def ranges(text: str | list[str]) -> str:
    """CEL ``cidr(text)`` and ``cidr(list)``: the ranges, each checked; an empty list holds no address."""
    return " ".join(str(network_from(one)) for one in ([text] if isinstance(text, str) else text))


def is_in(address: str, networks: str) -> bool:
    """CEL ``ip(x) in cidr(y)``, over what :func:`canonical` and :func:`ranges` returned."""
    parsed = ip_address(address)
    return any(parsed in network_from(one) for one in networks.split())
