"""What does a step of the Check answer when it refuses?"""

from dataclasses import dataclass
from enum import StrEnum

from ott_extauthz.model.reason import Reason


class TokenState(StrEnum):
    """Whether the presented token is still good, as far as we know; clients mint anew unless it is ``unspent``."""

    UNSPENT = "unspent"
    SPENT = "spent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Rejection:
    """An expected refusal: a value, not an exception."""

    reason: Reason
    token_state: TokenState = TokenState.UNSPENT
