"""Was this token used before?  The last step of a Check, and the only one that changes anything.

A use is remembered for ``exp + exp_leeway + max_skew + MARGIN``.  ``exp_leeway`` because the verifier accepts that long
(the same constant, else keycloak#43505), ``max_skew`` because another caller's clock may lag, MARGIN for what the
bounds did not foresee.  The nonce names this attempt, so that the store knows its own write when a reply was lost.
"""

from dataclasses import dataclass
from typing import Final

from ott_extauthz.model.decision import SpentToken
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection, TokenState
from ott_extauthz.model.token import VerifiedToken
from ott_extauthz.ports import CheckObserver, Clock, Entropy, SpendOutcome, Use, UsedList, UsedListError

MARGIN_MS: Final = 60_000
NONCE_BYTES: Final = 16
MINIMUM_BUDGET_SECONDS: Final = 0.005
"""A spend that cannot finish is not started: with less than this left of Envoy's deadline the token stays unspent."""

_REFUSALS: Final = {
    SpendOutcome.ALREADY_USED: Rejection(Reason.TOKEN_REPLAYED, TokenState.SPENT),
    SpendOutcome.FENCED: Rejection(Reason.STORE_EPOCH, TokenState.UNKNOWN),
    SpendOutcome.EXPIRED: Rejection(Reason.TOKEN_EXPIRED),
    SpendOutcome.CLOCK_DISAGREES: Rejection(Reason.STORE_CLOCK),
    SpendOutcome.NOT_PRIMARY: Rejection(Reason.STORE_NOT_PRIMARY),
    SpendOutcome.UNSAFE: Rejection(Reason.STORE_UNSAFE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleUse:
    """Spends verified tokens in a used-list, within what is left of the caller's deadline."""

    used_list: UsedList
    clock: Clock
    entropy: Entropy
    observer: CheckObserver
    exp_leeway_ms: int
    max_skew_ms: int

    async def spend(self, token: VerifiedToken, *, now_ms: int, deadline: float) -> SpentToken | Rejection:
        """Spend ``token`` once; ``deadline`` is an instant of the monotonic clock, in seconds."""
        started = self.clock.monotonic()
        if deadline - started < MINIMUM_BUDGET_SECONDS:
            return Rejection(Reason.DEADLINE_TOO_NEAR)
        try:
            outcome = await self.used_list.mark_used(self._use(token, now_ms), timeout=deadline - started)
        except UsedListError as error:
            self.observer.store_failed(error.fault)
            return Rejection(Reason.STORE_UNAVAILABLE, error.token_state)
        finally:
            ended = self.clock.monotonic()
            self.observer.spend_took(ended - started)
        if outcome is not SpendOutcome.FIRST_USE:
            return _REFUSALS[outcome]
        # Envoy has given up by now, or is about to: an answer that comes too late must not be an allow (authorino#649).
        return SpentToken(token) if ended < deadline else Rejection(Reason.DEADLINE_TOO_NEAR, TokenState.SPENT)

    def _use(self, token: VerifiedToken, now_ms: int) -> Use:
        return Use(
            key=token.digest,
            nonce=self.entropy(NONCE_BYTES),
            issued_at_ms=token.issued_at_ms,
            keep_until_ms=token.expires_at_ms + self.exp_leeway_ms + self.max_skew_ms + MARGIN_MS,
            now_ms=now_ms,
        )
