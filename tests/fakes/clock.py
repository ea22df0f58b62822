"""What time is it, for a test?"""

import time

START_MS = 1_790_000_000_000
"""Some instant in 2026: far enough from zero that nothing gets by because a number is small."""


class FakeClock:
    """Stands still until it is told to move; may be told to go backward, as a real one does when NTP steps it."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self._now_ms = now_ms
        self._monotonic = 1000.0

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, milliseconds: int) -> None:
        """Let time pass."""
        self._now_ms += milliseconds
        self._monotonic += milliseconds / 1000

    def step(self, milliseconds: int) -> None:
        """Set the wall clock, forward or backward, while no time passes."""
        self._now_ms += milliseconds


class SkewedClock:
    """The machine's clock plus a constant: for talking to real servers, whose clock nobody can fake."""

    def __init__(self, offset_ms: int = 0) -> None:
        self.offset_ms = offset_ms

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.offset_ms  # noqa: TID251 - a test's system clock

    def monotonic(self) -> float:
        return time.monotonic()
