"""Refusing everything would be safe too: what must be accepted is accepted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.acts import follow, send, set_fence, use
from tests.model.messages import Attempt, Reply
from tests.model.protocol import (
    CALLER,
    LEAD,
    OWN_WRITE,
    RIGHT,
    SINGLE,
    SKEW,
    STORE,
    Protocol,
)
from tests.model.schedules import run_one
from tests.model.script import Word
from tests.model.world import CALLERS, World
from tests.model.wrong import NONCE_IGNORED

STORE_AGREES = SKEW - CALLER
each_right_protocol = pytest.mark.parametrize("protocol", RIGHT, ids=lambda protocol: protocol.name)


@each_right_protocol
@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(
    stores=st.lists(st.integers(-STORE_AGREES, STORE_AGREES), min_size=5, max_size=5),
    caller=st.integers(-CALLER, CALLER),
    issuer=st.integers(-LEAD, LEAD - CALLER),
)
def test_without_a_fault_a_fresh_token_is_accepted_once(
    protocol: Protocol, stores: list[int], caller: int, issuer: int
) -> None:
    world = World(protocol)
    for node, offset in zip(world.nodes, stores, strict=False):
        node.step_clock(world.now, offset)
    world.caller_offsets = [caller] * CALLERS
    token = world.mint(issuer)
    assert use(world, token).is_accepted
    assert not use(world, token).is_accepted


def _heal(world: World) -> None:
    world.cut.clear()
    world.under_way.clear()
    world.caller_offsets = [0] * CALLERS
    for node in world.nodes:
        node.is_up = True
        node.step_clock(world.now, 0)
    if world.protocol.is_replicated:
        primary, *replicas = world.nodes
        primary.promote()
        for replica in replicas:
            follow(replica, primary)


@each_right_protocol
@pytest.mark.parametrize("seed", range(40))
def test_after_any_faults_a_token_issued_after_the_fence_and_its_margin_is_accepted(
    protocol: Protocol, seed: int
) -> None:
    world, _ = run_one(protocol, f"heal/{seed}")
    _heal(world)
    set_fence(world)
    world.now += STORE  # a clock was perhaps that far ahead when it set its fence
    token = world.mint(0)
    assert use(world, token).is_accepted
    assert not use(world, token).is_accepted


def _lose_the_reply(protocol: Protocol) -> tuple[World, Attempt]:
    world = World(protocol)
    attempt = world.attempt(world.mint(0), 0)
    [store] = world.nodes
    world.send(attempt, [store])
    [request] = world.under_way
    assert isinstance(world.deliver(request), Reply)
    world.under_way.clear()
    return world, attempt


def test_a_retry_after_a_lost_reply_finds_its_own_write() -> None:
    world, attempt = _lose_the_reply(SINGLE)
    send(world, attempt)
    assert attempt.is_accepted


def test_without_the_nonce_a_retry_after_a_lost_reply_is_refused_wrongly() -> None:
    world, attempt = _lose_the_reply(NONCE_IGNORED)
    send(world, attempt)
    assert attempt.words == [Word.USED]
    assert attempt.token.accepted == set()


def test_own_write_is_recognised_for_a_short_while_only() -> None:
    world, attempt = _lose_the_reply(SINGLE)
    world.now += OWN_WRITE + 1
    send(world, attempt)
    assert attempt.words == [Word.USED]
