"""What did issuers answer lately?  Bounded in number and in age; good tokens never make room for bad ones.

- An answer is found by a digest of issuer and token, and only what the issuer said is kept: whether that is enough
  for a route is judged anew at each Check (CVE-2021-32701).
- It counts for a short time, and never beyond the token's own end, by whichever clock comes first.
- Answers of "not active" have a room of their own: a flood of made-up tokens pushes out nobody's good one.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from ott_extauthz.authn.introspection import Introspected
from ott_extauthz.ports import Clock


@dataclass(frozen=True, slots=True)
class _Kept:
    answer: Introspected
    until: float  # on the monotonic clock
    until_ms: int | None


@dataclass(slots=True, kw_only=True)
class Answers:
    """The answers of one issuer; ``most`` of each sort, those asked for longest ago out first."""

    clock: Clock
    active_seconds: float
    inactive_seconds: float
    most: int
    _active: OrderedDict[bytes, _Kept] = field(default_factory=OrderedDict, repr=False)
    _inactive: OrderedDict[bytes, _Kept] = field(default_factory=OrderedDict, repr=False)

    def __len__(self) -> int:
        return len(self._active) + len(self._inactive)

    def get(self, key: bytes) -> Introspected | None:
        """Return the answer that still counts, or None."""
        for room in (self._active, self._inactive):
            kept = room.get(key)
            if kept is None:
                continue
            if self._counts(kept):
                room.move_to_end(key)
                return kept.answer
            del room[key]
        return None

    def put(self, key: bytes, answer: Introspected, asked_at: float) -> None:
        """Keep an answer; its age is counted from when it was asked for, on the monotonic clock."""
        is_active = answer.members is not None
        room, seconds = (self._active, self.active_seconds) if is_active else (self._inactive, self.inactive_seconds)
        kept = _Kept(answer, asked_at + seconds, answer.ends_at_ms)
        if not self._counts(kept):
            return
        room[key] = kept
        if len(room) > self.most:
            room.popitem(last=False)

    def _counts(self, kept: _Kept) -> bool:
        return self.clock.monotonic() < kept.until and (kept.until_ms is None or self.clock.now_ms() < kept.until_ms)
