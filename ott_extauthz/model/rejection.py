"""What does a step of the Check answer when it refuses?"""

from dataclasses import dataclass, field
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
    """An expected refusal: a value, not an exception.

    ``first`` says who spent a replayed token, where it is known.  ``detail`` names what refused (`deny_when[1]`,
    `max_amount`) for the audit and the log, never for the client; it quotes nothing that a caller sent.
    ``retry_after_ms`` is set where waiting helps, ``dpop_nonce`` where a proof with this nonce would (RFC 9449 §8),
    ``status`` where a route answers this refusal in another way than its reason does.
    """

    reason: Reason
    token_state: TokenState = TokenState.UNSPENT
    first: FirstSpender | None = None
    detail: str | None = None
    retry_after_ms: int | None = None
    dpop_nonce: str | None = field(default=None, repr=False)
    status: int | None = None
