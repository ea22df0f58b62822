"""What comes of the uses of one transaction, judged one after the other in the order in which they came?

The transaction has written a row for every key that had none: such a key is *claimed*.  Of its attempts in this batch
the first whose charges fit has the key; where none fits, the row is withdrawn, and the token stays unspent.
"""

from dataclasses import dataclass, field

from ott_extauthz.ports import Spend, SpendOutcome, Use
from ott_extauthz.stores.counting import Counters, counter_name
from ott_extauthz.stores.sqllist.judging import Row, judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """``rows`` is what was there before, ``claimed`` what was written for whom, ``late`` what was written too late."""

    now_ms: int
    rows: dict[bytes, Row]
    claimed: dict[bytes, Use]
    late: set[bytes]
    winners: dict[bytes, Use] = field(default_factory=dict)

    def counters_of(self, uses: list[Use]) -> list[bytes]:
        """Return which counters may have to be charged, in the one order in which everybody locks them."""
        open_ones = [use for use in uses if use.key in self.claimed and use.key not in self.late]
        return sorted({counter_name(charge) for use in open_ones for charge in use.charges})

    def judge(self, use: Use, counters: Counters) -> Spend:
        """Say what comes of ``use``, given those before it."""
        if use.key in self.late:
            return Spend(SpendOutcome.EXPIRED)
        if use.key in self.rows or use.key not in self.claimed:
            return judged(use, self.rows.get(use.key), self.now_ms)
        refusal = counters.take(use.charges)
        if refusal is not None:
            return refusal
        self.rows[use.key] = Row(use.nonce, self.now_ms, use.witness)
        self.winners[use.key] = use
        return Spend(SpendOutcome.FIRST_USE)

    @property
    def is_void(self) -> bool:
        """Whether nothing that was written stays, and nothing was found either."""
        return not self.rows and not self.late

    @property
    def withdrawn(self) -> list[bytes]:
        """The claimed keys that nobody has."""
        return [key for key in self.claimed if key not in self.winners and key not in self.late]

    @property
    def taken_over(self) -> list[Use]:
        """The winners whose row was written for another attempt."""
        return [use for key, use in self.winners.items() if use is not self.claimed[key]]
