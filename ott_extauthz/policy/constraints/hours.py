"""Is it one of these hours?"""

from ott_extauthz.model.daily_hours import is_within
from ott_extauthz.model.mandate import Constraints
from ott_extauthz.model.reason import Reason
from ott_extauthz.policy.constraints.request import Request


def time_fault(constraints: Constraints, request: Request) -> Reason | None:
    """Return why now is outside all of the windows."""
    windows = constraints.time_of_day
    if windows is None or any(is_within(window, request.asked.now_ms) for window in windows):
        return None
    return Reason.TIME_DENIED
