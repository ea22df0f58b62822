"""What time is it?  The one place that reads the system's clocks."""

import time


class SystemClock:
    """The machine's own clocks."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        return self.now_ns() // 1_000_000

    def now_ns(self) -> int:
        """Nanoseconds since the epoch, UTC."""
        return time.time_ns()  # noqa: TID251 - this is the clock that everybody else is given

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps."""
        return time.monotonic()
