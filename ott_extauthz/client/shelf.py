"""How many tokens of one kind are kept ready, and which of them may still be handed out?  Pure: the clock is passed in.

- A token is handed out once, and never with less than a third of its life left.  Its age is counted from before it was
  asked for, on our own clock: whatever the issuer's clock says, it is no younger than that.
- Kept ready is what was used in the last seconds, so that an idle shelf costs nothing and a busy one never runs dry.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ott_extauthz.ports import Clock, MintedToken

HORIZON_SECONDS: Final = 2.0
"""As many tokens are kept ready as were used in about this time."""

_USABLE: Final = 2 / 3
"""The part of a token's life in which it is handed out; the rest is for the way to the proxy, and for waiting there."""


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on both clocks: the monotonic one stands still while a machine sleeps, the other one may be set."""

    seconds: float
    ms: int

    @classmethod
    def of(cls, clock: Clock) -> "Instant":
        """Look at both."""
        return cls(clock.monotonic(), clock.now_ms())

    def seconds_since(self, earlier: "Instant") -> float:
        """Return the longer of what the two clocks say has passed."""
        return max(self.seconds - earlier.seconds, (self.ms - earlier.ms) / 1000)


@dataclass(frozen=True, slots=True)
class _Kept:
    token: MintedToken
    asked_at: Instant

    def is_fresh(self, now: Instant) -> bool:
        return now.seconds_since(self.asked_at) <= _usable_seconds(self.token)


class Shelf:
    """Tokens that are all alike, the oldest in front, and how quickly they are used."""

    def __init__(self, *, most: int) -> None:
        self._kept: deque[_Kept] = deque()
        self._most = most
        self._demand = 0.0  # uses, each counting less and less as it grows old
        self._demand_at: float | None = None
        self._usable_seconds = math.inf

    def __len__(self) -> int:
        return len(self._kept)

    def wanted_at(self, now: Instant) -> None:
        """Take note that somebody wants a token."""
        self._demand = self._demand_now(now) + 1
        self._demand_at = now.seconds

    def take(self, now: Instant) -> MintedToken | None:
        """Return the oldest token that is still fresh, and forget it; None where there is none."""
        while self._kept:
            kept = self._kept.popleft()
            if kept.is_fresh(now):
                return kept.token
        return None

    def put(self, tokens: Sequence[MintedToken], asked_at: Instant) -> None:
        """Keep tokens that were asked for at ``asked_at``, and by nobody handed out yet."""
        self._kept.extend(_Kept(token, asked_at) for token in tokens)
        if tokens:
            self._usable_seconds = min(map(_usable_seconds, tokens))

    def missing(self, now: Instant) -> int:
        """Return how many tokens to mint now: none while more than half of what should be ready is."""
        while self._kept and not self._kept[0].is_fresh(now):
            self._kept.popleft()
        target = self._target(now)
        return target - len(self._kept) if 2 * len(self._kept) <= target else 0

    def trim(self) -> None:
        """Forget the oldest of what is more than may be kept: whoever it was minted for has given up waiting."""
        while len(self._kept) > self._most:
            self._kept.popleft()

    def clear(self) -> None:
        """Forget every token."""
        self._kept.clear()

    def _target(self, now: Instant) -> int:
        # Where tokens live for a second, those of two seconds' use would grow old on the shelf.
        share = min(1.0, self._usable_seconds / 2 / HORIZON_SECONDS)
        return min(self._most, int(self._demand_now(now) * share))

    def _demand_now(self, now: Instant) -> float:
        if self._demand_at is None:
            return 0.0
        return self._demand * math.exp(-max(0.0, now.seconds - self._demand_at) / HORIZON_SECONDS)


def _usable_seconds(token: MintedToken) -> float:
    return (token.expires_at_ms - token.issued_at_ms) / 1000 * _USABLE
