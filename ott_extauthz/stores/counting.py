"""Do the charges of a use fit, and what do its counters hold afterwards?  Rules without a store, in whole numbers.

- RATE is GCRA: a counter holds the theoretical arrival time of the next call.  A call moves it by ``period / limit``
  from itself or from now, whichever is later, and fits if it then lies at most one period ahead.  The interval is
  seldom whole: the remainder is kept as ``part / limit`` of a millisecond, so that nothing drifts.
- BUDGET is a sum.  What was taken may have been forgotten up to the fence, and nothing is begun that has ended.
- Charges are judged one after the other, each on what the one before would leave; if one does not fit, none is taken.

The Redis script does the same; the contract tests hold them to each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ott_extauthz.ports import Charge, ChargeKind, Spend, SpendOutcome

_PREFIXES: Final = {ChargeKind.RATE: b"r", ChargeKind.BUDGET: b"b"}
_HOPELESS_FIRST: Final = (
    SpendOutcome.FENCED,
    SpendOutcome.EXPIRED,
    SpendOutcome.BUDGET_EXHAUSTED,
    SpendOutcome.RATE_LIMITED,
)


def counter_name(charge: Charge) -> bytes:
    """Return what tells this counter from every other in a store."""
    return _PREFIXES[charge.kind] + charge.key


@dataclass(frozen=True, slots=True)
class Counter:
    """How far a counter has counted.

    Of a rate: an instant in ms, and in ``part`` what of ``limit`` parts to the next.  Of a budget: a sum, and in
    ``part`` its latest end, for a store that cannot read its own expiry.
    From ``keep_until_ms`` on it need not be kept.  A counter that nobody has touched is the default.
    """

    level: int = 0
    part: int = 0
    keep_until_ms: int = 0


UNTOUCHED: Final = Counter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """The counters that may be charged now; ``changed`` names those that were."""

    held: dict[bytes, Counter]
    now_ms: int
    fence_ms: int
    ended_ms: int
    changed: set[bytes] = field(default_factory=set)

    def take(self, charges: Sequence[Charge]) -> Spend | None:
        """Take all of ``charges``; or none of them, and return why."""
        drafts: dict[bytes, Counter] = {}
        refusals: list[Spend] = []
        for charge in charges:
            name = counter_name(charge)
            after = self._after(charge, drafts.get(name) or self.held.get(name, UNTOUCHED))
            if isinstance(after, Spend):
                refusals.append(after)
            else:
                drafts[name] = after
        if refusals:
            return min(refusals, key=_rank)
        self.held.update(drafts)
        self.changed.update(drafts)
        return None

    def _after(self, charge: Charge, before: Counter) -> Counter | Spend:
        return self._rated(charge, before) if charge.kind is ChargeKind.RATE else self._budgeted(charge, before)

    def _rated(self, charge: Charge, before: Counter) -> Counter | Spend:
        level, part = max((before.level, min(before.part, charge.limit - 1)), (self.now_ms, 0))
        whole, rest = divmod(charge.period_ms, charge.limit)
        carry, part = divmod(part + rest, charge.limit)
        level += whole + carry
        reached_ms = level + (part > 0)
        wait_ms = reached_ms - self.now_ms - charge.period_ms
        if wait_ms > 0:
            return Spend(SpendOutcome.RATE_LIMITED, retry_after_ms=wait_ms)
        return Counter(level, part, reached_ms)

    def _budgeted(self, charge: Charge, before: Counter) -> Counter | Spend:
        if not charge.since_ms > self.fence_ms:
            return Spend(SpendOutcome.FENCED)
        if not charge.keep_until_ms > self.ended_ms:
            return Spend(SpendOutcome.EXPIRED)
        if not charge.bounded_cost <= charge.limit - before.level:
            return Spend(SpendOutcome.BUDGET_EXHAUSTED)
        ends_ms = max(before.keep_until_ms, charge.keep_until_ms)
        return Counter(before.level + charge.bounded_cost, ends_ms, ends_ms)


def _rank(refusal: Spend) -> tuple[int, int]:
    return _HOPELESS_FIRST.index(refusal.outcome), -(refusal.retry_after_ms or 0)
