"""What lies between a token and its uses?  Callers, messages under way, the nodes, and one true time for all of them.

Callers verify before they spend, as the service does.  Nobody has a deadline, which is harsher than the service: an
answer counts whenever it comes.  :class:`World` only says what can happen; ``moves`` chooses.
"""

from dataclasses import replace

from tests.model.messages import Attempt, Budget, Message, Reply, Request, Token, Waiting
from tests.model.node import Node, nodes_of
from tests.model.protocol import LEAD, LEEWAY, LIFETIME, MARGIN, Charged, Protocol
from tests.model.script import Call, Word

CALLERS = 2
MOST_UNDER_WAY = 24
TOKENS_OF_A_BUDGET = 6


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
        self.budgets: list[Budget] = []
        self.attempts: list[Attempt] = []
        self.under_way: list[Message] = []

    @property
    def twice_accepted(self) -> list[Token]:
        return [token for token in self.tokens if len(token.accepted) > 1]

    @property
    def overdrawn(self) -> list[Budget]:
        """The budgets that let more tokens through than they allow."""
        limit = self.protocol.limit
        if limit is None:
            return []
        drawn = [token.budget for token in self.tokens if token.accepted]
        return [budget for budget in self.budgets if drawn.count(budget) > limit]

    @property
    def is_broken(self) -> bool:
        """Whether the promise is."""
        return bool(self.twice_accepted or self.overdrawn)

    def mint(self, ahead: int) -> Token:
        """Mint a token; what grants its budget is dated as far ahead as a token may be, but never after the token."""
        issued_at = self.now + ahead
        if self.protocol.limit is None:
            self.tokens.append(Token(len(self.tokens), issued_at))
            return self.tokens[-1]
        if len(self.tokens) % TOKENS_OF_A_BUDGET == 0:
            self.budgets.append(Budget(len(self.budgets), issued_at))
        budget = self.budgets[-1]
        self.tokens.append(Token(len(self.tokens), max(issued_at, budget.since), budget))
        return self.tokens[-1]

    def home_of(self, token: Token) -> Node | None:
        """Return the one node that counts the token's budget; None if there is no such node."""
        if token.budget is None or self.protocol.charged is Charged.EVERYWHERE:
            return None
        return self.nodes[token.budget.number % len(self.nodes)]

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
        home = self.home_of(token)
        if home is not None and self.protocol.charged is Charged.AT_HOME_FIRST:
            nodes = [home]
        self._call(attempt, nodes, call)

    def _call(self, attempt: Attempt, nodes: list[Node], call: Call) -> None:
        """Put the calls under way; one that goes where the budget is counted charges it."""
        budget, home = attempt.token.budget, self.home_of(attempt.token)
        charging = call if budget is None else replace(call, budget=budget.number, since=budget.since)
        reached = [node for node in nodes if (attempt.caller, node.number) not in self.cut]
        self.under_way += [Request(attempt, node, charging if home in (None, node) else call) for node in reached]
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
                self._heard(message)
        if follows is not None:
            self.under_way.append(follows)
        return follows

    def _executed(self, request: Request) -> Message | None:
        node = request.node
        if not node.is_up:
            return None
        word, has_written = node.run(request.call, self.now)
        if not self.protocol.is_replicated or word is not Word.FIRST:
            return Reply(request.attempt, node, word, word is Word.FIRST, request.call)
        connected = sum(replica.source is node and replica.is_up for replica in self.nodes)
        needed = self.protocol.acknowledgements_needed(connected)
        position = len(node.stream) if has_written else 0
        return Waiting(request.attempt, node, word, position, needed, node.identity, request.call)

    def _waited(self, waiting: Waiting) -> Message | None:
        node = waiting.node
        if not node.is_up or not node.is_primary or node.identity != waiting.identity:
            return None
        is_yes = node.acknowledgements(waiting.position) >= waiting.needed
        return Reply(waiting.attempt, node, waiting.word, is_yes, waiting.call)

    def _heard(self, reply: Reply) -> None:
        """Count the answer; where the home node is asked first and says yes, ask the others now."""
        attempt, home = reply.attempt, self.home_of(reply.attempt.token)
        asks_home_first = home is reply.node and self.protocol.charged is Charged.AT_HOME_FIRST
        if asks_home_first and reply.is_yes:
            others = [node for node in self.nodes if node is not home]
            self._call(attempt, others, replace(reply.call, budget=None))
        self._counted(reply)

    def _counted(self, reply: Reply) -> None:
        """Accept once enough nodes have said yes; each node counts once."""
        attempt = reply.attempt
        attempt.words.append(reply.word)
        if reply.is_yes:
            attempt.votes.add(reply.node.number)
        home = self.home_of(attempt.token)
        needs_home = home is not None and self.protocol.charged is Charged.AT_HOME_FIRST
        if needs_home and home is not None and home.number not in attempt.votes:
            return
        if len(attempt.votes) >= self.protocol.votes_needed:
            attempt.token.accepted.add(attempt.nonce)

    def round_trip(self, attempt: Attempt, nodes: list[Node], replicas: list[Node]) -> None:
        """Deliver what this attempt has under way to ``nodes``, there and back; only ``replicas`` receive it."""
        self._deliver_all(attempt, nodes, replicas)
        self._deliver_all(attempt, nodes, replicas)  # where one node is asked first, its answer has put more under way

    def _deliver_all(self, attempt: Attempt, nodes: list[Node], replicas: list[Node]) -> None:
        for first in [message for message in self.under_way if message.attempt is attempt and message.node in nodes]:
            message: Message | None = first
            while message is not None:
                if isinstance(message, Waiting):
                    for replica in replicas:
                        if replica.source is message.node:
                            replica.replicate(len(message.node.stream))
                message = self.deliver(message)
