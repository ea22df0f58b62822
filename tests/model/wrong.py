"""Which protocols are wrong, each by one part taken away?  And which disturbances bring it to light soonest?

Given every disturbance, chance finds most of these too, but some only once in ten thousand schedules.  What is not in
``WRONG`` is too long a story for chance: ``test_scenarios`` tells it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from tests.model import faults, uses
from tests.model.moves import CLOCK_MOVES
from tests.model.protocol import (
    MARGIN,
    QUORUM_3,
    QUORUM_3_CHARGED,
    SINGLE,
    SINGLE_CHARGED,
    WAIT_ALL,
    Charged,
    Protocol,
    Wait,
)
from tests.model.uses import Move

QUARTER_MARGIN: Final = replace(SINGLE, name="one primary, a quarter of the margin", margin=MARGIN // 4)
NO_MARGIN_QUORUM: Final = replace(QUORUM_3, name="quorum of 3, no margin", margin=0)
FORGETFUL: Final = replace(SINGLE, name="one primary, fence not moved", forgetful=frozenset({0}))
FORGETFUL_QUORUM: Final = replace(QUORUM_3, name="quorum of 3, one fence not moved", forgetful=frozenset({1}))
WAIT_MAJORITY: Final = replace(WAIT_ALL, name="primary, 2 replicas, wait majority", wait=Wait.MAJORITY)
WAIT_NONE: Final = replace(WAIT_ALL, name="primary, 2 replicas, no wait", wait=Wait.NONE)
WAIT_FOR_NOTHING: Final = replace(WAIT_ALL, name="wait all, but not on a retry", rewrites_own=False)
SPARE: Final = replace(WAIT_ALL, name="wait all of 2, and a spare node", nodes=4)
SHORT_MEMORY: Final = replace(SINGLE, name="one primary, kept until exp only", keep=0)
PAST_END_WRITTEN: Final = replace(SHORT_MEMORY, name="the same, past PXAT written", refuses_past_end=False)
NONCE_IGNORED: Final = replace(SINGLE, name="one primary, nonce not compared", compares_nonce=False)
BEGUN_ANEW: Final = replace(SINGLE_CHARGED, name="one primary, budgets begun anew", fences_budgets=False)
EVERY_VOTER_COUNTS: Final = replace(
    QUORUM_3_CHARGED, name="quorum of 3, every voter counts", charged=Charged.EVERYWHERE
)
HOME_NOT_NEEDED: Final = replace(QUORUM_3_CHARGED, name="quorum of 3, home not needed", charged=Charged.AT_HOME)

_LOSS: Final = frozenset({faults.flush, faults.restart_empty})
_FAILOVER: Final = frozenset({faults.promote, faults.follow})
CLOCKS: Final = frozenset(CLOCK_MOVES)
STEADY: Final = frozenset({faults.pass_lifetime, uses.send, uses.deliver, uses.duplicate})

WRONG: Final[Mapping[Protocol, frozenset[Move]]] = {
    QUARTER_MARGIN: _LOSS | CLOCKS,
    NO_MARGIN_QUORUM: _LOSS | CLOCKS,
    FORGETFUL: _LOSS,
    FORGETFUL_QUORUM: _LOSS,
    WAIT_NONE: _FAILOVER,
    WAIT_MAJORITY: _FAILOVER,
    SPARE: _FAILOVER,
    SHORT_MEMORY: STEADY | CLOCKS,
    PAST_END_WRITTEN: STEADY,
    BEGUN_ANEW: _LOSS,
    EVERY_VOTER_COUNTS: STEADY,
    HOME_NOT_NEEDED: STEADY,
}
