"""What is a token, an attempt to use it, and a message on its way between a caller and a node?

A message is a value in a list: it may be delivered in any order, twice, late or never.
"""

from dataclasses import dataclass, field

from tests.model.node import Node
from tests.model.script import Call, Identity, Word


@dataclass(frozen=True, slots=True, eq=False)
class Budget:
    """What tokens may draw on, granted at ``since``."""

    number: int
    since: int


@dataclass(slots=True, eq=False)
class Token:
    """A token, and the nonce of every attempt that was accepted: two of them are the failure looked for."""

    number: int
    issued_at: int
    budget: "Budget | None" = None
    accepted: set[int] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Attempt:
    """One use of a token: one nonce, sent once or several times, and who said yes to it."""

    nonce: int
    token: Token
    caller: int
    asked: list[Node] = field(default_factory=list)
    votes: set[int] = field(default_factory=set)
    words: list[Word] = field(default_factory=list)

    @property
    def is_accepted(self) -> bool:
        return self.nonce in self.token.accepted


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    attempt: Attempt
    node: Node
    call: Call


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """The script has run; the WAIT behind it has not returned.  A node by another identity dropped the connection."""

    attempt: Attempt
    node: Node
    word: Word
    position: int
    needed: int
    identity: Identity
    call: Call


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    attempt: Attempt
    node: Node
    word: Word
    is_yes: bool
    call: Call


Message = Request | Waiting | Reply
