"""Which tokens has this very worker seen spent?  A replay of one is refused again without asking the store.

Refusing is always safe, so nothing here needs to be right but this: what is in here *was* spent.  Bounded in number and
by each use's own end; what falls out is simply asked of the store again.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from ott_extauthz.model.replay import FirstSpender

MOST: Final = 50_000


@dataclass(frozen=True, slots=True)
class Seen:
    """A use this worker knows of.

    ``nonce`` is the attempt that won, where it was ours; where it was another worker's, the store is still asked until
    ``ask_until_ms``, for the winner's own repeat may come here.
    """

    nonce: bytes
    until_ms: int
    first: FirstSpender | None
    ask_until_ms: int = 0


class SeenTokens:
    """The latest uses, oldest out first."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._seen: OrderedDict[bytes, Seen] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, key: bytes, seen: Seen) -> None:
        """Remember a use."""
        self._seen[key] = seen
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)

    def is_repeat(self, key: bytes, nonce: bytes) -> bool:
        """Whether this very attempt won here before."""
        seen = self._seen.get(key)
        return seen is not None and seen.nonce == nonce

    def replayed_by(self, key: bytes, nonce: bytes, now_ms: int) -> Seen | None:
        """Return the use that ``nonce`` would replay; None where the store must say, as for the winner's own repeat."""
        seen = self._seen.get(key)
        if seen is None or seen.nonce == nonce or now_ms < seen.ask_until_ms:
            return None
        if seen.until_ms <= now_ms:
            del self._seen[key]
            return None
        return seen
