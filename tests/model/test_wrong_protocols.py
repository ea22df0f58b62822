"""Every part of the protocol is needed: take one away, and the model finds the token that is accepted twice."""

from dataclasses import replace

import pytest

from tests.model.machine import run_machine
from tests.model.protocol import KEEP, Protocol
from tests.model.schedules import first_violation, run_many
from tests.model.uses import Move
from tests.model.wrong import CLOCKS, FORGETFUL, PAST_END_WRITTEN, QUARTER_MARGIN, SHORT_MEMORY, STEADY, WRONG


def _name(value: object) -> str:
    return value.name if isinstance(value, Protocol) else ""


@pytest.mark.parametrize(("protocol", "kinds"), WRONG.items(), ids=_name)
def test_chance_finds_the_second_acceptance(protocol: Protocol, kinds: frozenset[Move]) -> None:
    assert first_violation(protocol, 20_000, seed=7, kinds=kinds).violations == 1


@pytest.mark.parametrize("protocol", [QUARTER_MARGIN, FORGETFUL, PAST_END_WRITTEN], ids=_name)
def test_hypothesis_finds_the_second_acceptance(protocol: Protocol) -> None:
    with pytest.raises(AssertionError):
        run_machine(protocol, examples=500, steps=30, kinds=WRONG[protocol])


def test_step_5_is_enough_for_too_short_a_memory_while_clocks_are_steady() -> None:
    assert run_many(SHORT_MEMORY, 300, seed=7, kinds=STEADY).violations == 0


def test_step_1_and_the_right_keep_until_stand_before_step_5() -> None:
    """A past PXAT cannot be reached through them; step 5 is the second lock, for when keep_until is got wrong."""
    kept_long_enough = replace(PAST_END_WRITTEN, keep=KEEP)
    assert run_many(kept_long_enough, 600, seed=7, kinds=STEADY | CLOCKS).violations == 0
