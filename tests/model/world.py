"""What lies between a token and its uses?  Callers, messages under way, the nodes, and one true time for all of them.

Callers verify before they spend, as the service does.  Nobody has a deadline, which is harsher than the service: an
answer counts whenever it comes.  :class:`World` only says what can happen; ``moves`` chooses.
"""

from tests.model.messages import Attempt, Message, Reply, Request, Token, Waiting
from tests.model.node import Node, nodes_of
from tests.model.protocol import LEAD, LEEWAY, LIFETIME, MARGIN, Protocol
from tests.model.script import Call, Word

CALLERS = 2
MOST_UNDER_WAY = 24


class World:
    """Everything there is, under one protocol."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self.nodes = nodes_of(protocol)
        self.now = 1000
        for node in self.nodes:
            node.run(Call(-1, -1, 0, 0, self.now), self.now)  # sets the fence, as the look at start does
        self.now += 2 * MARGIN
        self.caller_offsets = [0] * CALLERS
        self.cut: set[tuple[int, int]] = set()
        self.tokens: list[Token] = []
        self.attempts: list[Attempt] = []
        self.under_way: list[Message] = []

    @property
    def twice_accepted(self) -> list[Token]:
        return [token for token in self.tokens if len(token.accepted) > 1]

    def mint(self, ahead: int) -> Token:
        self.tokens.append(Token(len(self.tokens), self.now + ahead))
        return self.tokens[-1]

    def attempt(self, token: Token, caller: int) -> Attempt:
        self.attempts.append(Attempt(len(self.attempts), token, caller))
        return self.attempts[-1]

    def send(self, attempt: Attempt, nodes: list[Node]) -> None:
        """Verify at the caller's door, as of now, and ask ``nodes``; what a partition cuts off is lost at once."""
        attempt.asked = nodes
        token, caller_now = attempt.token, self.now + self.caller_offsets[attempt.caller]
        exp = token.issued_at + LIFETIME
        if not (token.issued_at <= caller_now + LEAD and caller_now < exp + LEEWAY):
            return
        call = Call(token.number, attempt.nonce, token.issued_at, exp + self.protocol.keep, caller_now)
        reached = [node for node in nodes if (attempt.caller, node.number) not in self.cut]
        self.under_way += [Request(attempt, node, call) for node in reached]
        del self.under_way[:-MOST_UNDER_WAY]

    def deliver(self, message: Message) -> Message | None:
        """Let one message arrive, and put under way what follows from it."""
        if message in self.under_way:
            self.under_way.remove(message)
        follows: Message | None = None
        match message:
            case Request():
                follows = self._executed(message)
            case Waiting():
                follows = self._waited(message)
            case Reply():
                self._counted(message)
        if follows is not None:
            self.under_way.append(follows)
        return follows

    def _executed(self, request: Request) -> Message | None:
        node = request.node
        if not node.is_up:
            return None
        word, has_written = node.run(request.call, self.now)
        if not self.protocol.is_replicated or word is not Word.FIRST:
            return Reply(request.attempt, node, word, word is Word.FIRST)
        connected = sum(replica.source is node and replica.is_up for replica in self.nodes)
        needed = self.protocol.acknowledgements_needed(connected)
        position = len(node.stream) if has_written else 0
        return Waiting(request.attempt, node, word, position, needed, node.identity)

    def _waited(self, waiting: Waiting) -> Message | None:
        node = waiting.node
        if not node.is_up or not node.is_primary or node.identity != waiting.identity:
            return None
        is_yes = node.acknowledgements(waiting.position) >= waiting.needed
        return Reply(waiting.attempt, node, waiting.word, is_yes)

    def _counted(self, reply: Reply) -> None:
        """Accept once enough nodes have said yes; each node counts once."""
        attempt = reply.attempt
        attempt.words.append(reply.word)
        if reply.is_yes:
            attempt.votes.add(reply.node.number)
        if len(attempt.votes) >= self.protocol.votes_needed:
            attempt.token.accepted.add(attempt.nonce)

    def round_trip(self, attempt: Attempt, nodes: list[Node], replicas: list[Node]) -> None:
        """Deliver what this attempt has under way to ``nodes``, there and back; only ``replicas`` receive it."""
        for first in [message for message in self.under_way if message.attempt is attempt and message.node in nodes]:
            message: Message | None = first
            while message is not None:
                if isinstance(message, Waiting):
                    for replica in replicas:
                        if replica.source is message.node:
                            replica.replicate(len(message.node.stream))
                message = self.deliver(message)
