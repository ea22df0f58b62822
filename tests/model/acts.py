"""How is a scenario written down step by step?  Names for what one person does to a world, one after the other."""

from tests.model.messages import Attempt, Token
from tests.model.node import Node
from tests.model.protocol import MARGIN
from tests.model.world import World


def asked(world: World) -> list[Node]:
    """Return the nodes that an honest caller asks: the primary, or everyone who has a vote."""
    return [node for node in world.nodes if node.is_primary][:1] if world.protocol.is_replicated else world.nodes


def use(
    world: World, token: Token, at: Node | None = None, replicas: list[Node] | None = None, caller: int = 0
) -> Attempt:
    """Use a token with a nonce of its own, undisturbed; ``replicas`` receive what is written, all unless said."""
    attempt = world.attempt(token, caller)
    send(world, attempt, at, replicas)
    return attempt


def send(world: World, attempt: Attempt, at: Node | None = None, replicas: list[Node] | None = None) -> None:
    nodes = asked(world) if at is None else [at]
    world.send(attempt, nodes)
    world.round_trip(attempt, nodes, world.nodes if replicas is None else replicas)


def set_fence(world: World, at: Node | None = None) -> None:
    """Make the first contact, and wait until the fence and its margin are over."""
    use(world, world.mint(0), at)
    world.now += MARGIN + 1


def follow(node: Node, primary: Node) -> None:
    node.follow(primary)
    node.replicate(0)
