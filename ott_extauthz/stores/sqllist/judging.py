"""What is a use's answer, given what its transaction saw?  Rules without a database.

1. The database's clock and the caller's must agree within ``max_skew`` (SQLite has no clock of its own).
2. What was issued at or before ``since`` + margin may have been used before the database forgot: FENCED.
3. What has ended, by the database's clock or by the last sweep, is not written: EXPIRED.
4. The row that holds the key decides: it is this attempt's own, or somebody's before.
"""

from dataclasses import dataclass

from ott_extauthz.ports import OWN_WRITE_MS, FirstUse, Spend, SpendOutcome, Use


@dataclass(frozen=True, slots=True)
class Fence:
    """Since when a data set, known by its identity, has been whole."""

    identity: str
    since_ms: int
    swept_ms: int = 0
    writes: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a transaction saw before it wrote; ``refusal`` and ``advice`` are there when it must not write at all."""

    now_ms: int
    fence: Fence | None = None
    is_fence_new: bool = False
    refusal: SpendOutcome | None = None
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A use as the database keeps it."""

    nonce: bytes
    first_ms: int
    witness: bytes


@dataclass(frozen=True, slots=True)
class Rules:
    """The bounds; ``max_skew_ms`` is None where the database has no clock but the caller's."""

    margin_ms: int
    max_skew_ms: int | None

    def refusal(self, use: Use, seen: Seen) -> SpendOutcome | None:
        """Return why ``use`` must not be written, if it must not."""
        if seen.refusal is not None or seen.fence is None:
            return seen.refusal or SpendOutcome.UNSAFE
        if self.max_skew_ms is not None and not abs(seen.now_ms - use.now_ms) <= self.max_skew_ms:
            return SpendOutcome.CLOCK_DISAGREES
        if not use.issued_at_ms > seen.fence.since_ms + self.margin_ms:
            return SpendOutcome.FENCED
        if not use.keep_until_ms > max(seen.now_ms, seen.fence.swept_ms):
            return SpendOutcome.EXPIRED
        return None


def judged(use: Use, row: Row | None, now_ms: int) -> Spend:
    """Compare ``use`` with the row that holds its key: its own write counts as first for OWN_WRITE_MS.

    A row that stood in the way of the write and is gone a moment later was a use all the same.
    """
    if row is None:
        return Spend(SpendOutcome.ALREADY_USED)
    if row.nonce == use.nonce and abs(now_ms - row.first_ms) <= OWN_WRITE_MS:
        return Spend(SpendOutcome.FIRST_USE)
    return Spend(SpendOutcome.ALREADY_USED, FirstUse(row.first_ms, row.witness))
