"""Which replay must be told even in a flood?  A caller's first of a token, so many in a second for each caller.

Beyond what all replays share, a flood takes room from itself alone:

- what was told before, and comes from there again, is no alarm;
- an address (of IPv6 a /64, which one subscriber has) has room for one alarm, and one more with each second;
- so has a caller for :data:`OF_A_CALLER`, whatever its addresses.  That is who Envoy verified, by certificate; nobody
  makes more of those than an authority signs.  Without one there is the address alone, and all of them are one caller.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from ott_extauthz.model.addresses import neighbourhood
from ott_extauthz.model.decision import Deny
from ott_extauthz.model.facts import Facts, Peer
from ott_extauthz.model.reason import Reason
from ott_extauthz.observe.allowance import Allowance
from ott_extauthz.ports import CheckRecord

MOST: Final = 4096
"""What is remembered of alarms, of addresses and of callers: of each the latest."""

OF_A_CALLER: Final = 10
"""Alarms in a second beyond what all replays share."""

T = TypeVar("T")


class Alarms:
    """Tells a first replay from one more, and how many of them one caller may have told."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """``monotonic`` is a clock in seconds that never jumps."""
        self._told: Latest[None] = Latest(lambda: None)
        self._places: Latest[Allowance] = Latest(lambda: Allowance(1, monotonic))
        self._callers: Latest[Allowance] = Latest(lambda: Allowance(OF_A_CALLER, monotonic))

    def is_first(self, record: CheckRecord, decision: Deny) -> bool:
        """Whether it was not told before that this token came from there, as far as we remember."""
        return _what(record, decision) not in self._told

    def told(self, record: CheckRecord, decision: Deny) -> None:
        """Take note that it was."""
        self._told.of(_what(record, decision))

    def takes(self, record: CheckRecord) -> bool:
        """Whether the caller of a first replay has room for it, which is taken then."""
        caller, address = _place(record)
        return self._places.of((caller, address)).takes() and self._callers.of(caller).takes()


class Latest(Generic[T]):
    """Something for each key, made when it is asked for; of those that were not asked for lately nothing is left."""

    def __init__(self, new: Callable[[], T]) -> None:
        self._new = new
        self._of: OrderedDict[Hashable, T] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._of

    def __len__(self) -> int:
        return len(self._of)

    def of(self, key: Hashable) -> T:
        """Return what belongs to a key."""
        found = self._of[key] if key in self._of else self._new()
        self._of[key] = found
        self._of.move_to_end(key)
        if len(self._of) > MOST:
            self._of.popitem(last=False)
        return found


def _what(record: CheckRecord, decision: Deny) -> Hashable:
    token, first = decision.token, decision.first
    return (
        decision.reason, token.public_id if token else None, first.decision_id if first else None, _place(record),
    )  # fmt: skip


def _place(record: CheckRecord) -> tuple[Hashable, str]:
    """Return who brought it, and from where; a port anybody has as many of as he likes."""
    if not isinstance(record.facts, Facts):
        return None, ""
    peer = record.facts.peer
    return _caller(peer), neighbourhood(peer.address)


def _caller(peer: Peer) -> Hashable:
    certificate = None if isinstance(peer.certificate, Reason) else peer.certificate
    return peer.principal, certificate
