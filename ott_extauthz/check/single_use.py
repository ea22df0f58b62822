"""Was this token used before?  The last step of a Check, and the only one that changes anything.

A use is remembered for ``exp + exp_leeway + max_skew + MARGIN``.  ``exp_leeway`` because the verifier accepts that long
(the same constant, else keycloak#43505), ``max_skew`` because another caller's clock may lag, MARGIN for what the
bounds did not foresee.

A mandate comes many times, and is never marked as used.  What a use of it charges (rates, budgets) is taken by a use
of its own, whose key this attempt alone has and which is forgotten soon; a use that charges nothing asks no store.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final

from ott_extauthz.check.latency import RecentLatency
from ott_extauthz.check.seen import Seen, SeenTokens
from ott_extauthz.check.spending import Spending
from ott_extauthz.model.decision import SpentToken
from ott_extauthz.model.framing import framed
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection, TokenState
from ott_extauthz.model.replay import FirstSpender, first_spender
from ott_extauthz.ports import (
    OWN_WRITE_MS,
    CheckObserver,
    Clock,
    Spend,
    SpendOutcome,
    Use,
    UsedList,
    UsedListError,
    UsedListFault,
)

MARGIN_MS: Final = 60_000
MINIMUM_BUDGET_SECONDS: Final = 0.005
"""A spend that cannot finish is not started: with less than this left of Envoy's deadline the token stays unspent."""

_REFUSALS: Final = {
    SpendOutcome.FENCED: Rejection(Reason.STORE_EPOCH, TokenState.UNKNOWN),
    SpendOutcome.EXPIRED: Rejection(Reason.TOKEN_EXPIRED),
    SpendOutcome.CLOCK_DISAGREES: Rejection(Reason.STORE_CLOCK),
    SpendOutcome.NOT_PRIMARY: Rejection(Reason.STORE_NOT_PRIMARY),
    SpendOutcome.UNSAFE: Rejection(Reason.STORE_UNSAFE),
    SpendOutcome.BUDGET_EXHAUSTED: Rejection(Reason.BUDGET_EXHAUSTED),
}

_TURNED_AWAY: Final = frozenset({UsedListFault.CIRCUIT_OPEN, UsedListFault.OVERLOADED, UsedListFault.CLOSED})
"""Faults of spends that were not begun: thousands of them at no time at all would hide the slow ones of an outage."""


def _replayed(first: FirstSpender | None) -> Rejection:
    return Rejection(Reason.TOKEN_REPLAYED, TokenState.SPENT, first)


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleUse:
    """Spends verified tokens in a used-list, within what is left of the caller's deadline."""

    used_list: UsedList
    clock: Clock
    observer: CheckObserver
    exp_leeway_ms: int
    max_skew_ms: int
    seen: SeenTokens = field(default_factory=SeenTokens)
    latency: RecentLatency = field(default_factory=RecentLatency)

    async def spend(self, spending: Spending, *, now_ms: int, deadline: float) -> SpentToken | Rejection:
        """Spend once; ``deadline`` is an instant of the monotonic clock, in seconds."""
        is_once = spending.token.is_for_one_use
        if not is_once and not spending.charges:
            return self._in_time(spending, self.clock.monotonic(), deadline)
        use = self._use(spending, now_ms) if is_once else self._use_of_a_mandate(spending, now_ms)
        known = self.seen.replayed_by(use.key, use.nonce, now_ms)
        if known is not None:
            return _replayed(known.first)
        started = self.clock.monotonic()
        if deadline - started < max(MINIMUM_BUDGET_SECONDS, self.latency.p99(started)):
            return Rejection(Reason.DEADLINE_TOO_NEAR)
        try:
            spend = await self.used_list.mark_used(use, timeout=deadline - started)
        except UsedListError as error:
            self.observer.store_failed(error.fault)
            if error.fault not in _TURNED_AWAY:
                # Not into the p99: that of a store which fails would refuse the very spends that find it well again,
                # and a connection refused at once would make it look quick.
                self.observer.spend_took(self.clock.monotonic() - started)
            return Rejection(Reason.STORE_UNAVAILABLE, error.token_state)
        ended = self.clock.monotonic()
        self._took(ended, ended - started)
        # The key of a mandate's use has this attempt in it: used already is charged already, for this very request.
        is_taken = spend.outcome is SpendOutcome.FIRST_USE or (
            spend.outcome is SpendOutcome.ALREADY_USED and not is_once
        )
        if not is_taken:
            return self._refused(spend, use)
        if is_once:
            self.seen.add(use.key, Seen(use.nonce, use.keep_until_ms, first_spender(now_ms, use.witness)))
        return self._in_time(spending, ended, deadline)

    def _in_time(self, spending: Spending, ended: float, deadline: float) -> SpentToken | Rejection:
        # Envoy has given up by now, or is about to: an answer that comes too late must not be an allow (authorino#649).
        return SpentToken(spending.token) if ended < deadline else Rejection(Reason.DEADLINE_TOO_NEAR, TokenState.SPENT)

    def _refused(self, spend: Spend, use: Use) -> Rejection:
        if spend.outcome is SpendOutcome.RATE_LIMITED:
            return Rejection(Reason.RATE_LIMITED, retry_after_ms=spend.retry_after_ms)
        if spend.outcome is not SpendOutcome.ALREADY_USED:
            return _REFUSALS[spend.outcome]
        first = first_spender(spend.first.at_ms, spend.first.witness) if spend.first else None
        self.seen.add(use.key, Seen(b"", use.keep_until_ms, first, use.now_ms + OWN_WRITE_MS))
        return _replayed(first)

    def _took(self, at: float, seconds: float) -> None:
        self.latency.add(at, seconds)
        self.observer.spend_took(seconds)

    def _use(self, spending: Spending, now_ms: int) -> Use:
        token = spending.token
        return Use(
            key=token.digest,
            nonce=spending.nonce,
            issued_at_ms=token.issued_at_ms,
            keep_until_ms=token.expires_at_ms + self.exp_leeway_ms + self.max_skew_ms + MARGIN_MS,
            now_ms=now_ms,
            witness=spending.witness,
            account=token.account,
            charges=spending.charges,
        )

    def _use_of_a_mandate(self, spending: Spending, now_ms: int) -> Use:
        """Return a use that is new with each attempt; it is as old as the Check, for that is when it came to be."""
        name = framed("use of a mandate", spending.token.digest.hex(), spending.nonce.hex())
        return Use(
            key=hashlib.sha256(name).digest(),
            nonce=spending.nonce,
            issued_at_ms=now_ms,
            keep_until_ms=now_ms + self.exp_leeway_ms + self.max_skew_ms + OWN_WRITE_MS,
            now_ms=now_ms,
            witness=spending.witness,
            account=spending.token.account,
            charges=spending.charges,
        )
