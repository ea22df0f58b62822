"""What does a step of the Check answer when it refuses?"""

from dataclasses import dataclass
from enum import StrEnum

from ott_extauthz.model.reason import Reason
from ott_extauthz.model.replay import FirstSpender


class TokenState(StrEnum):
    """Whether the presented token is still good, as far as we know; clients mint anew unless it is ``unspent``."""

    UNSPENT = "unspent"
    SPENT = "spent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Rejection:
    """An expected refusal: a value, not an exception.  ``first`` says who spent a replayed token, where it is known."""

    reason: Reason
    token_state: TokenState = TokenState.UNSPENT
    first: FirstSpender | None = None
