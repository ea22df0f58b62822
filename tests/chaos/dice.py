"""Random numbers that a seed brings back: a chaos schedule that found something must be run again as it was."""

from collections.abc import Sequence
from typing import Final, TypeVar

_T = TypeVar("_T")
_ALL: Final = (1 << 64) - 1


class Dice:
    """SplitMix64 (Steele, Lea and Flood, 2014).  Never for secrets."""

    def __init__(self, seed: int) -> None:
        self._state = seed & _ALL

    def below(self, limit: int) -> int:
        """Return a number from 0 to ``limit`` - 1; the bias of the remainder does not matter here."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _ALL
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _ALL
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _ALL
        return (mixed ^ (mixed >> 31)) % limit

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.below(1 << 32) / (1 << 32)

    def one_of(self, things: Sequence[_T]) -> _T:
        return things[self.below(len(things))]

    def shuffled(self, things: Sequence[_T]) -> list[_T]:
        left, mixed = list(things), []
        while left:
            mixed.append(left.pop(self.below(len(left))))
        return mixed
