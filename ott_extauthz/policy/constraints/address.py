"""Does the call come from these networks?  The peer's address as Envoy saw it, by CIDR and by autonomous system."""

from ott_extauthz.model.addresses import address_from
from ott_extauthz.model.mandate import Constraints
from ott_extauthz.model.reason import Reason
from ott_extauthz.policy.constraints.request import Request


def cidr_fault(constraints: Constraints, request: Request) -> Reason | None:
    """Return why the address is outside the networks; one that cannot be read is outside of all."""
    if constraints.cidr is None:
        return None
    address = address_from(request.asked.facts.peer.address)
    if address is None or not any(address in network for network in constraints.cidr):
        return Reason.ADDRESS_DENIED
    return None


def asn_fault(constraints: Constraints, request: Request) -> Reason | None:
    """Return why the address is of none of these autonomous systems; one that nobody knows is of none."""
    if constraints.asn is None:
        return None
    address, asn_of = address_from(request.asked.facts.peer.address), request.asked.asn_of
    if address is None or asn_of is None or asn_of(address) not in constraints.asn:
        return Reason.NETWORK_DENIED
    return None
