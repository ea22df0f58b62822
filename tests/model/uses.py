"""What may callers do, and the network with their messages?

Where a violation needs several things in a row that chance would seldom bring together, a move does more than one of
them, but none that could not happen by itself.
"""

from collections.abc import Callable
from typing import Final

from tests.model.messages import Request, Token
from tests.model.node import Node
from tests.model.protocol import CALLER, LEAD, MARGIN
from tests.model.world import CALLERS, World

Pick = Callable[[int], int]
"""A number from 0 to one below the argument; 0 is the dullest choice."""
Move = Callable[[World, Pick], None]

_AHEAD: Final = (0, LEAD + CALLER, LEAD, 0)


def _some(nodes: list[Node], pick: Pick) -> list[Node]:
    """Return all of them half of the time, else any of them."""
    mask = pick(1 << len(nodes)) if pick(2) else 0
    return [node for node in nodes if not mask >> node.number & 1]


def recent_token(world: World, pick: Pick) -> Token:
    """Return one of the last few tokens, most often the very last."""
    if not world.tokens:
        mint(world, pick)
    return world.tokens[-1 - min(pick(len(world.tokens)), pick(3))]


def _asked(world: World, pick: Pick) -> list[Node]:
    """Return every node if each has a vote, else one that says it is the primary."""
    if not world.protocol.is_replicated:
        return world.nodes
    primaries = [node for node in world.nodes if node.is_primary]
    return [primaries[pick(len(primaries))]] if primaries else []


def mint(world: World, pick: Pick) -> None:
    world.mint(_AHEAD[pick(len(_AHEAD))])


def use(world: World, pick: Pick) -> None:
    """Use a token and let some of the nodes answer at once; what goes to the others stays under way."""
    _use(world, recent_token(world, pick), pick)


def use_fresh(world: World, pick: Pick) -> None:
    """Wait until no fence is in the way, then mint a token and use it, as most are."""
    world.now += MARGIN + 1
    mint(world, pick)
    _use(world, world.tokens[-1], pick)


def _use(world: World, token: Token, pick: Pick) -> None:
    attempt, asked = world.attempt(token, pick(CALLERS)), _asked(world, pick)
    world.send(attempt, asked)
    if world.protocol.is_replicated:
        world.round_trip(attempt, asked, _some(world.nodes, pick))
    else:
        world.round_trip(attempt, _some(asked, pick), [])


def send(world: World, pick: Pick) -> None:
    world.send(world.attempt(recent_token(world, pick), pick(CALLERS)), _asked(world, pick))


def send_again(world: World, pick: Pick) -> None:
    """Send an earlier attempt once more: a retry, or the same request checked again."""
    if world.attempts:
        world.send(world.attempts[-1 - pick(min(4, len(world.attempts)))], _asked(world, pick))


def retry(world: World, pick: Pick) -> None:
    """Send an attempt again where it was sent to, and be answered at once; replicas hear nothing of it."""
    if world.attempts:
        attempt = world.attempts[-1 - pick(min(2, len(world.attempts)))]
        world.send(attempt, attempt.asked)
        world.round_trip(attempt, attempt.asked, [])


def deliver(world: World, pick: Pick) -> None:
    if world.under_way:
        world.deliver(world.under_way[-1 - pick(len(world.under_way))])


def lose(world: World, pick: Pick) -> None:
    """Lose a request, a reply, or the connection in the middle of a WAIT."""
    if world.under_way:
        del world.under_way[-1 - pick(len(world.under_way))]


def duplicate(world: World, pick: Pick) -> None:
    requests = [message for message in world.under_way if isinstance(message, Request)]
    if requests:
        world.under_way.append(requests[pick(len(requests))])
