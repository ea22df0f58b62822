"""Which protocols are right?  Their parameters, and how many must agree before a call is let through.

All times are in one unit, of no length.  The bounds are unlike each other on purpose: a margin that left one of them
out, or counted one once too few, would show.
"""

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

from tests.model.script import Rules

LEAD: Final = 10  # a: how far a token's iat may be ahead of a caller's clock
SKEW: Final = 20  # m: how far a caller's clock and a store's may differ, step 1
CALLER: Final = 7  # c: how far a caller's clock may be from true time
STORE: Final = CALLER + SKEW  # how far a store's clock may be from true time: all that step 1 lets pass
MARGIN: Final = LEAD + SKEW + 2 * CALLER

LIFETIME: Final = 200
LEEWAY: Final = 5
KEEP: Final = LEEWAY + SKEW + 2 * CALLER
"""How long after exp a use is remembered: the last term is what the service's 60 s are for."""

OWN_WRITE: Final = 30


class Wait(Enum):
    """How many replicas must have received a use before it counts."""

    NONE = auto()
    MAJORITY = auto()
    ALL = auto()


class Charged(Enum):
    """Where a token's budget is counted, if there are several voters."""

    EVERYWHERE = auto()  # each voter counts for itself; with one primary, there
    AT_HOME_FIRST = auto()  # at one node of the account's, asked before the others; without its yes there is none
    AT_HOME = auto()  # there too, but any majority will do


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """One way of being sure that a token is used once.

    ``replicas`` is how many replicas the settings say a primary has; None makes every node a primary of its own, asked
    for its vote.  ``forgetful`` names the nodes whose fence stays where it was when they lose their data.  With a
    ``limit`` every token draws one unit of a budget of so many.
    """

    name: str
    nodes: int = 1
    replicas: int | None = None
    wait: Wait = Wait.NONE
    margin: int = MARGIN
    keep: int = KEEP
    forgetful: frozenset[int] = frozenset()
    refuses_past_end: bool = True
    compares_nonce: bool = True
    rewrites_own: bool = True
    limit: int | None = None
    charged: Charged = Charged.EVERYWHERE
    fences_budgets: bool = True

    @property
    def is_replicated(self) -> bool:
        return self.replicas is not None

    @property
    def votes_needed(self) -> int:
        return 1 if self.is_replicated else self.nodes // 2 + 1

    def acknowledgements_needed(self, connected: int) -> int:
        configured = self.replicas or 0
        match self.wait:
            case Wait.NONE:
                return 0
            case Wait.MAJORITY:
                return (configured + 1) // 2
            case Wait.ALL:
                return max(configured, connected)

    def rules_at(self, node: int) -> Rules:
        return Rules(
            max_skew=SKEW,
            margin=self.margin,
            own_write=OWN_WRITE,
            fence_moves=node not in self.forgetful,
            refuses_past_end=self.refuses_past_end,
            compares_nonce=self.compares_nonce,
            rewrites_own=self.rewrites_own,
            limit=self.limit or 0,
            fences_budgets=self.fences_budgets,
        )


SINGLE: Final = Protocol(name="one primary")
WAIT_ALL: Final = Protocol(name="primary, 2 replicas, wait all", nodes=3, replicas=2, wait=Wait.ALL)
QUORUM_3: Final = Protocol(name="quorum of 3", nodes=3)
QUORUM_5: Final = Protocol(name="quorum of 5", nodes=5)
RIGHT: Final = (SINGLE, WAIT_ALL, QUORUM_3, QUORUM_5)

LIMIT: Final = 2
SINGLE_CHARGED: Final = replace(SINGLE, name="one primary, budgets", limit=LIMIT)
WAIT_ALL_CHARGED: Final = replace(WAIT_ALL, name="primary, 2 replicas, wait all, budgets", limit=LIMIT)
QUORUM_3_CHARGED: Final = replace(
    QUORUM_3, name="quorum of 3, budgets at home", limit=LIMIT, charged=Charged.AT_HOME_FIRST
)
QUORUM_5_CHARGED: Final = replace(QUORUM_3_CHARGED, name="quorum of 5, budgets at home", nodes=5)
RIGHT_CHARGED: Final = (SINGLE_CHARGED, WAIT_ALL_CHARGED, QUORUM_3_CHARGED, QUORUM_5_CHARGED)
