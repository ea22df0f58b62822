"""Who is one caller, where callers share something scarce?

- A certificate that Envoy verified is one caller, wherever it connects from.
- Without one it is the address that Envoy saw, in IPv6 its /64: whoever has one address there has 2^64 of them.
"""

from ott_extauthz.model.addresses import neighbourhood
from ott_extauthz.model.facts import Peer
from ott_extauthz.model.reason import Reason


def caller_of(peer: Peer) -> str:
    """Return one name for all connections of a caller; it authenticates nobody."""
    if peer.is_proven and not isinstance(peer.certificate, Reason):
        return f"certificate {peer.certificate.hex()}"
    return f"address {neighbourhood(peer.address)}"
