"""How much of something may there be in a second?  A bound on what a caller could otherwise have us write."""

from collections.abc import Callable


class Allowance:
    """So many at once, and as many more with each second."""

    def __init__(self, per_second: int, monotonic: Callable[[], float]) -> None:
        """``monotonic`` is a clock in seconds that never jumps."""
        self._most = float(per_second)
        self._left = self._most
        self._monotonic = monotonic
        self._at = monotonic()

    def takes(self) -> bool:
        """Whether there is room for one more, which is taken then."""
        now = self._monotonic()
        self._left = min(self._most, self._left + (now - self._at) * self._most)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
