"""What may happen to time, to the nodes and to the network?  Clocks keep within their bounds; all else is allowed."""

from typing import Final

from tests.model.node import Node
from tests.model.protocol import CALLER, LEEWAY, LIFETIME, MARGIN, SKEW, STORE
from tests.model.uses import Pick, recent_token
from tests.model.world import CALLERS, World

_STORE_OFFSETS: Final = (0, -STORE, STORE, -SKEW, SKEW, CALLER)
_CALLER_OFFSETS: Final = (0, CALLER, -CALLER)
_PAUSES: Final = (1, 5, MARGIN + 1, 20, 2 * MARGIN, 5, MARGIN, 10)
_ALL: Final = 1 << 20


def pass_time(world: World, pick: Pick) -> None:
    world.now += _PAUSES[pick(len(_PAUSES))]


def pass_lifetime(world: World, pick: Pick) -> None:
    """Wait until some token is about to be over: some clocks say it is, some say it is not."""
    end = recent_token(world, pick).issued_at + LIFETIME
    world.now = max(world.now, end + (0, LEEWAY, -CALLER, LEEWAY + CALLER - 1, LIFETIME)[pick(5)])


def step_store_clock(world: World, pick: Pick) -> None:
    _node(world, pick).step_clock(world.now, _STORE_OFFSETS[pick(len(_STORE_OFFSETS))])


def step_caller_clock(world: World, pick: Pick) -> None:
    world.caller_offsets[pick(CALLERS)] = _CALLER_OFFSETS[pick(len(_CALLER_OFFSETS))]


def flush(world: World, pick: Pick) -> None:
    _node(world, pick).flush()


def evict(world: World, pick: Pick) -> None:
    """Run short of memory under a policy that somebody changed a moment ago."""
    node = _node(world, pick)
    if node.keyspace.used:
        node.evict(list(node.keyspace.used)[-1 - pick(len(node.keyspace.used))])


def restart_empty(world: World, pick: Pick) -> None:
    _node(world, pick).restart(_ALL)


def restart_stale(world: World, pick: Pick) -> None:
    _node(world, pick).restart(pick(4))


def stop(world: World, pick: Pick) -> None:
    """Pause a server and let the others go on as if nothing had been; or let all go on."""
    paused = pick(2 * len(world.nodes)) - len(world.nodes)
    for node in world.nodes:
        node.is_up = node.number != paused


def partition(world: World, pick: Pick) -> None:
    """Cut some nodes off one caller; or heal."""
    mask, caller = pick(2) * pick(1 << len(world.nodes)), pick(CALLERS)
    world.cut = {(caller, node.number) for node in world.nodes if mask >> node.number & 1}


def promote(world: World, pick: Pick) -> None:
    """Make a node a primary under a new name, whether or not the old one lives."""
    _node(world, pick).promote()


def follow(world: World, pick: Pick) -> None:
    """Point a node at another and let it copy everything; its own data is gone."""
    node, primaries = _node(world, pick), [node for node in world.nodes if node.is_primary]
    if primaries:
        node.follow(primaries[pick(len(primaries))])
        node.replicate(0)


def replicate(world: World, pick: Pick) -> None:
    _node(world, pick).replicate(1 + pick(3))


def _node(world: World, pick: Pick) -> Node:
    return world.nodes[pick(len(world.nodes))]
