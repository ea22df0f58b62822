"""Who is one caller, where callers share something scarce?

- A certificate that Envoy verified is one caller, wherever it connects from.
- Without one it is the address that Envoy saw, in IPv6 its /64: whoever has one address there has 2^64 of them.
"""

from ipaddress import IPv6Address, IPv6Network
from typing import Final

from ott_extauthz.model.addresses import address_from
from ott_extauthz.model.facts import Peer
from ott_extauthz.model.reason import Reason

_IPV6_SITE: Final = 64


def caller_of(peer: Peer) -> str:
    """Return one name for all connections of a caller; it authenticates nobody."""
    if peer.is_proven and not isinstance(peer.certificate, Reason):
        return f"certificate {peer.certificate.hex()}"
    address = address_from(peer.address)
    if isinstance(address, IPv6Address):
        return f"address {IPv6Network((address, _IPV6_SITE), strict=False)}"
    return f"address {peer.address if address is None else address}"
