"""The scenarios that the design was argued with, step by step; and the limits that it states."""

from dataclasses import replace

import pytest

from tests.model.acts import follow, set_fence, use
from tests.model.acts import send as send_again
from tests.model.messages import Token
from tests.model.protocol import CALLER, LEAD, MARGIN, SINGLE, SKEW, STORE, WAIT_ALL, Protocol
from tests.model.world import World
from tests.model.wrong import SPARE, WAIT_FOR_NOTHING, WAIT_MAJORITY


def _promote_while_the_old_primary_lives(protocol: Protocol) -> tuple[World, Token]:
    world = World(protocol)
    promoted = world.nodes[2]
    promoted.promote()
    set_fence(world, at=promoted)
    return world, world.mint(0)  # newer than every fence


@pytest.mark.parametrize(("protocol", "accepted"), [(WAIT_MAJORITY, 2), (WAIT_ALL, 0)], ids=["majority", "all"])
def test_an_acknowledgement_taken_back_counts_for_two_majorities(protocol: Protocol, accepted: int) -> None:
    world, token = _promote_while_the_old_primary_lives(protocol)
    old, replica, promoted = world.nodes
    use(world, token, at=old, replicas=[replica])
    follow(replica, promoted)  # its copy of the use is gone
    use(world, token, at=promoted, replicas=[replica])
    assert len(token.accepted) == accepted


def test_wait_all_accepts_again_once_the_old_primary_follows_the_new() -> None:
    world, _ = _promote_while_the_old_primary_lives(WAIT_ALL)
    old, replica, promoted = world.nodes
    follow(replica, promoted)
    follow(old, promoted)
    token = world.mint(0)
    assert use(world, token, at=promoted).is_accepted
    assert not use(world, token, at=promoted).is_accepted


@pytest.mark.parametrize(("replicas", "accepted"), [(2, 2), (3, 0)], ids=["spare not counted", "spare counted"])
def test_wait_all_must_count_every_node_that_could_ever_become_a_replica(replicas: int, accepted: int) -> None:
    """WAIT counts heads, not names: a spare node stands in for the replica that was promoted."""
    world, token = _promote_while_the_old_primary_lives(replace(SPARE, replicas=replicas))
    old, replica, promoted, spare = world.nodes
    follow(spare, old)
    use(world, token, at=old)
    follow(replica, promoted)
    follow(spare, promoted)
    use(world, token, at=promoted)
    assert len(token.accepted) == accepted


@pytest.mark.parametrize(("protocol", "accepted"), [(WAIT_FOR_NOTHING, 2), (WAIT_ALL, 1)], ids=["nothing", "write"])
def test_a_retry_must_have_a_write_to_wait_for(protocol: Protocol, accepted: int) -> None:
    """Behind a call that wrote nothing, WAIT on a fresh connection returns at once (seen with Valkey 9.1.2)."""
    world, token = _promote_while_the_old_primary_lives(protocol)
    old, replica, promoted = world.nodes
    first = use(world, token, at=old)
    assert not first.is_accepted  # the promoted one does not acknowledge any more
    send_again(world, first, at=old)
    for node in (replica, old):
        follow(node, promoted)
    use(world, token, at=promoted)
    assert len(token.accepted) == accepted


@pytest.mark.parametrize(("margin", "accepted"), [(MARGIN, 1), (MARGIN - 1, 2)], ids=["the margin", "one less"])
def test_the_margin_is_as_small_as_it_can_be(margin: int, accepted: int) -> None:
    world = World(replace(SINGLE, margin=margin))
    [store] = world.nodes
    world.caller_offsets = [CALLER, -CALLER]
    store.step_clock(world.now, CALLER - SKEW)
    token = world.mint(CALLER + LEAD)
    assert use(world, token, caller=0).is_accepted
    store.flush()
    store.step_clock(world.now, -STORE)
    use(world, world.mint(-LEAD), caller=1)  # sets the fence, as early as can be
    world.now += 2 * CALLER  # now the token is not ahead of the slower caller either
    use(world, token, caller=1)
    assert len(token.accepted) == accepted


def test_limit_a_store_clock_far_behind_and_a_late_call_set_a_fence_too_early() -> None:
    """Step 1 compares the store with the caller as it was when it sent; a call on its way for long proves nothing."""
    world = World(SINGLE)
    [store] = world.nodes
    late = world.attempt(world.mint(0), 0)
    world.send(late, [store])
    world.now += 2 * MARGIN
    token = world.mint(0)
    assert use(world, token).is_accepted
    store.flush()
    store.offset = -2 * MARGIN  # out of the bound, which is STORE
    world.round_trip(late, [store], [])
    store.offset = 0
    assert use(world, token).is_accepted
    assert world.twice_accepted == [token]
