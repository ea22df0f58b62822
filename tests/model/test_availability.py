"""What each design costs in availability: when it refuses though nobody did anything wrong."""

import pytest

from tests.model.acts import use
from tests.model.protocol import (
    LIMIT,
    MARGIN,
    QUORUM_3,
    QUORUM_3_CHARGED,
    QUORUM_5,
    RIGHT_CHARGED,
    WAIT_ALL,
    Protocol,
)
from tests.model.script import Word
from tests.model.world import TOKENS_OF_A_BUDGET, World


@pytest.mark.parametrize(("protocol", "down"), [(QUORUM_3, 1), (QUORUM_5, 2)], ids=["1 of 3", "2 of 5"])
def test_a_quorum_refuses_nothing_while_a_majority_is_up_or_whole(protocol: Protocol, down: int) -> None:
    world = World(protocol)
    early = world.mint(0)
    for node in world.nodes[:down]:
        node.restart(len(node.keyspace.used))
    assert use(world, early).is_accepted  # issued before those fences: the others vouch for it
    for node in world.nodes[:down]:
        node.is_up = False
    assert use(world, world.mint(0)).is_accepted
    world.nodes[down].is_up = False
    assert not use(world, world.mint(0)).is_accepted


def test_a_split_vote_burns_the_token() -> None:
    """The price of a quorum: safe, and nobody gets in."""
    world = World(QUORUM_3)
    token, (one, two, three) = world.mint(0), world.nodes
    first, second, third = (world.attempt(token, 0) for _ in range(3))
    for attempt, node in ((first, one), (second, two), (third, three)):
        world.send(attempt, world.nodes)
        world.round_trip(attempt, [node], [])
    while world.under_way:
        world.deliver(world.under_way[0])
    assert token.accepted == set()


def test_wait_all_refuses_while_a_replica_is_down() -> None:
    world = World(WAIT_ALL)
    world.nodes[2].is_up = False
    assert not use(world, world.mint(0)).is_accepted
    world.nodes[2].is_up = True
    world.now += MARGIN
    assert use(world, world.mint(0)).is_accepted


@pytest.mark.parametrize("protocol", RIGHT_CHARGED, ids=lambda protocol: protocol.name)
def test_a_budget_lets_exactly_its_limit_through_and_a_refused_token_stays_unspent(protocol: Protocol) -> None:
    world = World(protocol)
    tokens = [world.mint(0) for _ in range(TOKENS_OF_A_BUDGET)]
    assert [use(world, token).is_accepted for token in tokens].count(True) == LIMIT
    assert use(world, tokens[0]).words[0] is Word.USED  # a replay, whatever the budget says
    assert all(tokens[-1].number not in node.keyspace.used for node in world.nodes)


def test_a_quorum_without_the_home_node_of_a_budget_refuses_and_spends_nothing() -> None:
    world = World(QUORUM_3_CHARGED)
    token = world.mint(0)
    home = world.home_of(token)
    assert home is not None
    home.is_up = False
    assert not use(world, token).is_accepted
    assert all(token.number not in node.keyspace.used for node in world.nodes)
    home.is_up = True
    assert use(world, token).is_accepted
