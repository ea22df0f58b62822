"""The protocols that are right accept no token twice, whatever happens; and the schedules are worth something."""

import pytest

from tests.model.machine import run_machine
from tests.model.protocol import RIGHT, RIGHT_CHARGED, Protocol
from tests.model.schedules import run_many

EXAMPLES = 100


@pytest.mark.parametrize("protocol", RIGHT, ids=lambda protocol: protocol.name)
def test_hypothesis_finds_no_second_acceptance(protocol: Protocol) -> None:
    accepted = run_machine(protocol, examples=EXAMPLES, steps=40)
    assert accepted > EXAMPLES // 2  # where nothing is accepted, nothing is accepted twice either


@pytest.mark.parametrize("protocol", RIGHT, ids=lambda protocol: protocol.name)
def test_chance_finds_no_second_acceptance(protocol: Protocol) -> None:
    tally = run_many(protocol, 600, seed=20)
    assert tally.violations == 0, tally.story
    assert tally.accepted > 2 * tally.schedules
    assert tally.used > 2 * tally.schedules
    assert tally.fenced > tally.schedules


@pytest.mark.parametrize("protocol", RIGHT_CHARGED, ids=lambda protocol: protocol.name)
def test_hypothesis_finds_no_budget_overdrawn(protocol: Protocol) -> None:
    accepted = run_machine(protocol, examples=EXAMPLES, steps=40)
    assert accepted > EXAMPLES // 2


@pytest.mark.parametrize("protocol", RIGHT_CHARGED, ids=lambda protocol: protocol.name)
def test_chance_finds_no_budget_overdrawn(protocol: Protocol) -> None:
    tally = run_many(protocol, 600, seed=21)
    assert tally.violations == 0, tally.story
    assert tally.accepted > tally.schedules
    assert tally.exhausted > tally.schedules
    assert tally.fenced > tally.schedules
