"""Was this token used before?  The last step of a Check, and the only one that changes anything.

A use is remembered for ``exp + exp_leeway + max_skew + MARGIN``.  ``exp_leeway`` because the verifier accepts that long
(the same constant, else keycloak#43505), ``max_skew`` because another caller's clock may lag, MARGIN for what the
bounds did not foresee.

A mandate comes many times, and is never marked as used.  What a use of it charges (rates, budgets) is taken by a use
of its own, whose key this attempt alone has and which is forgotten soon; a use that charges nothing asks no store.

What may come once beside a token (a proof, a nonce, an event) is a use like that of a token, under a key of its own.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ott_extauthz.check.latency import RecentLatency
from ott_extauthz.check.seen import Seen, SeenTokens
from ott_extauthz.check.spending import Spending
from ott_extauthz.model.decision import SpentToken
from ott_extauthz.model.framing import framed
from ott_extauthz.model.once import Once, OnceKind
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

_REPEATED: Final = {
    OnceKind.PROOF: Reason.DPOP_PROOF_REPLAYED,
    OnceKind.NONCE: Reason.SIGNATURE_REPLAYED,
    OnceKind.EVENT: Reason.EVENT_REPEATED,
}

_TURNED_AWAY: Final = frozenset({UsedListFault.CIRCUIT_OPEN, UsedListFault.OVERLOADED, UsedListFault.CLOSED})
"""Faults of spends that were not begun: thousands of them at no time at all would hide the slow ones of an outage."""


def _replayed(first: FirstSpender | None) -> Rejection:
    return Rejection(Reason.TOKEN_REPLAYED, TokenState.SPENT, first)


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleUse:
    """Spends verified tokens in a used-list, within what is left of the caller's deadline.

    ``on_repeat`` is told when an attempt that was let through here comes again (a reservation), and passes again.
    """

    used_list: UsedList
    clock: Clock
    observer: CheckObserver
    exp_leeway_ms: int
    max_skew_ms: int
    seen: SeenTokens = field(default_factory=SeenTokens)
    latency: RecentLatency = field(default_factory=RecentLatency)
    on_repeat: Callable[[], None] = lambda: None

    async def spend_all(
        self, once: Sequence[Once], spendings: Sequence[Spending], *, now_ms: int, deadline: float
    ) -> SpentToken | Rejection:
        """Spend everything that this Check is about, or say what refuses; the last of ``spendings`` is the caller's.

        What is easily made anew comes first (proofs, nonces), an event last: once it is marked it is delivered, or
        lost.  What was spent before a refusal stays spent.
        """
        own = spendings[-1]
        for each in once:
            if each.kind is not OnceKind.EVENT:
                refused = await self._take(each, own, now_ms, deadline)
                if refused is not None:
                    return refused
        for spending in spendings:
            spent = await self.spend(spending, now_ms=now_ms, deadline=deadline)
            if isinstance(spent, Rejection):
                return spent
        for each in once:
            if each.kind is OnceKind.EVENT:
                refused = await self._take(each, own, now_ms, deadline)
                if refused is not None:
                    return refused
        return self._in_time(own, self.clock.monotonic(), deadline)

    async def spend(self, spending: Spending, *, now_ms: int, deadline: float) -> SpentToken | Rejection:
        """Spend one token once; ``deadline`` is an instant of the monotonic clock, in seconds."""
        is_once = spending.token.is_for_one_use
        if not is_once and not spending.charges:
            return self._in_time(spending, self.clock.monotonic(), deadline)
        use = self._use(spending, now_ms) if is_once else self._use_of_a_mandate(spending, now_ms)
        refused = await self._mark(use, deadline, is_once=is_once)
        return refused or self._in_time(spending, self.clock.monotonic(), deadline)

    async def _take(self, once: Once, spending: Spending, now_ms: int, deadline: float) -> Rejection | None:
        """Mark a value that may not come again; None where this was its first time."""
        use = Use(
            key=once.key,
            nonce=spending.nonce,
            issued_at_ms=once.acceptable_from_ms,
            keep_until_ms=once.acceptable_until_ms + self.max_skew_ms + MARGIN_MS,
            now_ms=now_ms,
            witness=spending.witness,
        )
        refused = await self._mark(use, deadline, is_once=True)
        if refused is not None and once.kind is not OnceKind.EVENT and spending.token.is_for_one_use:
            refused = replace(refused, token_state=TokenState.UNSPENT)  # tokens come after these
        if refused is not None and refused.reason is Reason.STORE_EPOCH and once.kind is OnceKind.PROOF:
            # One that is made after this long is younger than any fence of now, for it comes as early as this one.
            return replace(refused, retry_after_ms=max(now_ms - once.acceptable_from_ms, 0))
        if refused is None or refused.reason is not Reason.TOKEN_REPLAYED:
            return refused
        return replace(refused, reason=_REPEATED[once.kind], status=once.repeat_status)

    async def _mark(self, use: Use, deadline: float, *, is_once: bool) -> Rejection | None:
        """Mark one use; None where it counts."""
        known = self.seen.replayed_by(use.key, use.nonce, use.now_ms)
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
            if self.seen.is_repeat(use.key, use.nonce):
                self.on_repeat()
            self.seen.add(use.key, Seen(use.nonce, use.keep_until_ms, first_spender(use.now_ms, use.witness)))
        return None

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
