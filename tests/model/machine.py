"""How does Hypothesis drive the model?  One rule for each move, and after each the invariants."""

from typing import Any, ClassVar, Final

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.model.moves import CORE_MOVES, disturbances
from tests.model.protocol import Protocol
from tests.model.uses import Move, Pick
from tests.model.world import World

_DRAWS: Final = st.tuples(*[st.integers(0, 31)] * 6)
_OF_TWO: Final = 2  # a core move has a rule for every two of its weight, so that honest use is not drowned


class _Machine(RuleBasedStateMachine):
    protocol: ClassVar[Protocol]
    accepted: ClassVar[list[int]]

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.protocol)

    @invariant()
    def no_token_is_accepted_twice(self) -> None:
        assert not self.world.twice_accepted

    @invariant()
    def no_budget_is_overdrawn(self) -> None:
        assert not self.world.overdrawn

    def teardown(self) -> None:
        self.accepted.append(sum(len(token.accepted) > 0 for token in self.world.tokens))


def _picking(draws: tuple[int, ...]) -> Pick:
    left = iter(draws)
    return lambda bound: next(left, 0) % bound


def _rule_of(move: Move) -> Any:
    def make_move(self: _Machine, draws: tuple[int, ...]) -> None:
        move(self.world, _picking(draws))

    make_move.__name__ = move.__name__
    return rule(draws=_DRAWS)(make_move)


def run_machine(protocol: Protocol, *, examples: int, steps: int, kinds: frozenset[Move] | None = None) -> int:
    """Let Hypothesis try to break the promise; always the same tries, and no search for the smallest.

    Returns:
        How many tokens were accepted, in all tries together.

    Raises:
        AssertionError: it was broken.
    """
    rules = {f"{move.__name__}_{at}": _rule_of(move) for move, n in CORE_MOVES.items() for at in range(n // _OF_TWO)}
    others = [move for move in disturbances(protocol) if kinds is None or move in kinds]
    rules |= {move.__name__: _rule_of(move) for move in others}
    accepted: list[int] = []
    machine = type("Machine", (_Machine,), {**rules, "protocol": protocol, "accepted": accepted})
    tries = settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=True,
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=tries)
    return sum(accepted)
