"""What may happen next, and how often?  Hypothesis and a seeded generator drive the same moves."""

from typing import Final

from tests.model import faults, uses
from tests.model.protocol import Protocol
from tests.model.uses import Move

CORE_MOVES: Final[dict[Move, int]] = {uses.mint: 2, uses.use: 12, uses.use_fresh: 4, faults.pass_time: 4}
CLOCK_MOVES: Final[dict[Move, int]] = {faults.step_store_clock: 2, faults.step_caller_clock: 2}
FAULT_MOVES: Final[dict[Move, int]] = {
    uses.send: 3,
    uses.send_again: 3,
    uses.retry: 3,
    uses.deliver: 6,
    uses.lose: 1,
    uses.duplicate: 2,
    faults.pass_lifetime: 2,
    faults.flush: 1,
    faults.evict: 1,
    faults.restart_empty: 1,
    faults.restart_stale: 1,
    faults.stop: 1,
    faults.partition: 1,
    faults.promote: 1,
}
REPLICA_MOVES: Final[dict[Move, int]] = {faults.follow: 4, faults.replicate: 3}


def disturbances(protocol: Protocol) -> dict[Move, int]:
    """Return what may happen besides honest use under a protocol, and how often against each other."""
    return FAULT_MOVES | CLOCK_MOVES | (REPLICA_MOVES if protocol.is_replicated else {})
