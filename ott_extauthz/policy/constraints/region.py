"""May this be done where this server stands?"""

from ott_extauthz.model.mandate import Constraints
from ott_extauthz.model.reason import Reason
from ott_extauthz.policy.constraints.request import Request


def region_fault(constraints: Constraints, request: Request) -> Reason | None:
    """Return why the server's region is not one of those allowed; a server that is told no region is in none."""
    if constraints.region is None or request.asked.region in constraints.region:
        return None
    return Reason.REGION_DENIED
