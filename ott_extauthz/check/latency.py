"""How long does the store take lately?  A spend that would not finish in time is better not begun."""

from collections import deque
from typing import Final

KEPT: Final = 256
FRESH_SECONDS: Final = 2.0
FEWEST: Final = 20
MOST_SECONDS: Final = 0.05
JUDGED_SECONDS: Final = 0.1
"""Sorting the samples on every Check would cost more than it tells."""

_SHARE: Final = 0.99


class RecentLatency:
    """The p99 of the last spends.  Old samples do not count: with nothing fresh to go by, spends are begun again."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=KEPT)
        self._p99 = 0.0
        self._judged_at = 0.0

    def add(self, at: float, seconds: float) -> None:
        """Take note of a spend that took ``seconds`` and ended ``at`` (monotonic)."""
        self._samples.append((at, seconds))

    def p99(self, now: float) -> float:
        """Return the recent p99 in seconds, at most :data:`MOST_SECONDS`; 0 where too little is known.

        Judged anew ten times a second.  Without the bound a hundredth of slow spends would refuse all of them, though a
        Check that has its whole deadline left should always be tried.
        """
        if now - self._judged_at >= JUDGED_SECONDS:
            fresh = sorted(seconds for at, seconds in self._samples if now - at <= FRESH_SECONDS)
            self._p99 = min(fresh[int(len(fresh) * _SHARE)], MOST_SECONDS) if len(fresh) >= FEWEST else 0.0
            self._judged_at = now
        return self._p99
