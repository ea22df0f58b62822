"""Does a protocol accept some token twice, or overdraw a budget?

Many schedules from one seed, each of which can be run again by itself.
"""

import random  # noqa: TID251 - schedules must be the same for the same seed; nothing here is secret
from dataclasses import dataclass
from typing import Final

from tests.model.moves import CORE_MOVES, disturbances
from tests.model.protocol import Protocol
from tests.model.script import Word
from tests.model.uses import Move
from tests.model.world import World

STEPS: Final = 60
KINDS: Final = 0.3


@dataclass(slots=True)
class Tally:
    """What came of a number of schedules; ``first`` is the first one that broke the promise."""

    protocol: Protocol
    schedules: int = 0
    moves: int = 0
    attempts: int = 0
    accepted: int = 0
    fenced: int = 0
    used: int = 0
    exhausted: int = 0
    violations: int = 0
    first: int | None = None
    story: tuple[str, ...] = ()

    def add(self, number: int, world: World, story: list[str]) -> None:
        words = [word for attempt in world.attempts for word in attempt.words]
        self.schedules += 1
        self.moves += len(story)
        self.attempts += len(world.attempts)
        self.accepted += sum(len(token.accepted) > 0 for token in world.tokens)
        self.fenced += words.count(Word.FENCED)
        self.used += words.count(Word.USED)
        self.exhausted += words.count(Word.EXHAUSTED)
        if world.is_broken:
            self.violations += 1
            if self.first is None:
                self.first, self.story = number, tuple(story)


def run_one(protocol: Protocol, seed: str, kinds: frozenset[Move] | None = None) -> tuple[World, list[str]]:
    """Run one schedule until the promise is broken or the steps are over.

    Each schedule knows some kinds of disturbance only, those of ``kinds`` or such as chance picks: where everything
    happens, hardly any token is accepted once.
    """
    world, story = World(protocol), []
    chance = random.Random(seed)  # noqa: S311 - see above
    others = disturbances(protocol)
    chosen = [move for move in others if (chance.random() < KINDS if kinds is None else move in kinds)]
    weights = CORE_MOVES | {move: others[move] for move in chosen}
    for move in chance.choices(list(weights), list(weights.values()), k=STEPS):
        drawn: list[int] = []

        def pick(bound: int, drawn: list[int] = drawn) -> int:
            drawn.append(int(chance.random() * bound))
            return drawn[-1]

        move(world, pick)
        story.append(f"{move.__name__} {drawn}")
        if world.is_broken:
            break
    return world, story


def run_many(protocol: Protocol, schedules: int, seed: int, kinds: frozenset[Move] | None = None) -> Tally:
    """Run schedules ``0 …`` of this seed."""
    tally = Tally(protocol)
    for number in range(schedules):
        tally.add(number, *run_one(protocol, f"{seed}/{number}", kinds))
    return tally


def first_violation(protocol: Protocol, most: int, seed: int, kinds: frozenset[Move] | None = None) -> Tally:
    """Run schedules until one breaks the promise, ``most`` of them at most."""
    tally = Tally(protocol)
    for number in range(most):
        tally.add(number, *run_one(protocol, f"{seed}/{number}", kinds))
        if tally.violations:
            break
    return tally
