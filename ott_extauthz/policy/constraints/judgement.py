"""Does everything that narrows this call hold?  The token's mandates, and the route's own constraints.

All of them must hold; the first that does not is the refusal, and names where it stands.  What counts is returned for
the spend to charge.
"""

from collections.abc import Callable, Iterator
from typing import Final

from ott_extauthz.model.mandate import Constraints
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.constraints.address import asn_fault, cidr_fault
from ott_extauthz.policy.constraints.amount import amount_fault
from ott_extauthz.policy.constraints.bound_request import request_fault
from ott_extauthz.policy.constraints.brand import brand_fault
from ott_extauthz.policy.constraints.charging import charges_of
from ott_extauthz.policy.constraints.hours import time_fault
from ott_extauthz.policy.constraints.region import region_fault
from ott_extauthz.policy.constraints.request import Request
from ott_extauthz.policy.limits import NO_LIMITS
from ott_extauthz.ports import Charge

Judge = Callable[[Constraints, Request], Reason | None]

_JUDGES: Final[tuple[tuple[str, Judge], ...]] = (  # what is cheap before what reads the body
    ("region", region_fault),
    ("cidr", cidr_fault),
    ("asn", asn_fault),
    ("time_of_day", time_fault),
    ("brand", brand_fault),
    ("max_amount", amount_fault),
)


def constrained(route: str, request: Request) -> tuple[Charge, ...] | Rejection:
    """Return the charges of a call that stays within all that narrows it, or the first thing that refuses it."""
    limits, asked = request.limits, request.asked
    token = asked.token
    if limits is NO_LIMITS and not token.mandates and token.binding is None:
        return ()
    fault = request_fault(limits, asked)
    if fault is not None:
        return fault
    charges: list[Charge] = []
    for constraints in narrowing(request):
        found = _held(constraints, request, route)
        if isinstance(found, Rejection):
            return found
        charges += found
    return tuple(charges)


def narrowing(request: Request) -> tuple[Constraints, ...]:
    """Return everything that narrows a call: the token's mandates, then the route's own constraints."""
    mandates, own = request.asked.token.mandates, request.limits.constraints
    return mandates if own is None else (*mandates, own)


def verdicts(constraints: Constraints, request: Request) -> Iterator[tuple[str, Reason | None]]:
    """Judge one after the other what can be judged without a counter; None holds."""
    for name, judge in _JUDGES:
        yield name, judge(constraints, request)


def _held(constraints: Constraints, request: Request, route: str) -> tuple[Charge, ...] | Rejection:
    for name, reason in verdicts(constraints, request):
        if reason is not None:
            return Rejection(reason, detail=f"{constraints.origin}.{name}")
    charges = charges_of(constraints, request, route)
    return Rejection(charges, detail=f"{constraints.origin}.budget") if isinstance(charges, Reason) else charges
