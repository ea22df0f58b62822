"""What does one call of the store's script do?  The six steps of ``redislist/script.py``, as a pure function.

It reads a keyspace and says what to answer and what to write; who calls it applies the writes, and hands the same
writes to replicas.  Whatever may be done wrongly on purpose is a field of :class:`Rules`.
"""

from dataclasses import dataclass, field
from enum import Enum, auto

Identity = tuple[int, int, int]
"""master_replid, run_id and evicted_keys."""


class Word(Enum):
    """The script's words."""

    FIRST = auto()
    USED = auto()
    FENCED = auto()
    EXPIRED = auto()
    CLOCK = auto()
    REPLICA = auto()
    EXHAUSTED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The script's fixed arguments; and five ways of getting it wrong."""

    max_skew: int
    margin: int
    own_write: int
    fence_moves: bool = True
    refuses_past_end: bool = True
    compares_nonce: bool = True
    rewrites_own: bool = True
    limit: int = 0
    fences_budgets: bool = True


@dataclass(frozen=True, slots=True)
class Call:
    """The arguments of one call, as they left the caller: ``caller_now`` is as old as the message."""

    key: int
    nonce: int
    issued_at: int
    keep_until: int
    caller_now: int
    budget: int | None = None
    since: int = 0


@dataclass(frozen=True, slots=True)
class Fence:
    """Whose data this is, and since when it has been whole."""

    identity: Identity
    since: int


@dataclass(frozen=True, slots=True)
class Used:
    """The value of a used key, and its PXAT."""

    key: int
    nonce: int
    first: int
    until: int


@dataclass(frozen=True, slots=True)
class Charged:
    """One unit of a budget is gone."""

    budget: int


Write = Fence | Used | Charged


@dataclass(slots=True)
class Keyspace:
    """All a server would lose with its memory; the fence lies in it like any other key."""

    fence: Fence | None = None
    used: dict[int, Used] = field(default_factory=dict)
    charged: list[int] = field(default_factory=list)  # a unit each, in their order

    def apply(self, write: Write) -> None:
        match write:
            case Fence():
                self.fence = write
            case Used():
                self.used[write.key] = write
            case Charged():
                self.charged.append(write.budget)

    def expire(self, now: int) -> None:
        for key in [key for key, used in self.used.items() if used.until <= now]:
            del self.used[key]

    def copy(self) -> "Keyspace":
        return Keyspace(self.fence, dict(self.used), list(self.charged))


def consume(
    call: Call, keyspace: Keyspace, rules: Rules, *, now: int, is_primary: bool, identity: Identity
) -> tuple[Word, list[Write]]:
    """Answer one call, and say what it writes; the numbers are those of ``redislist/script.py``."""
    writes: list[Write] = []
    # 1
    if not abs(now - call.caller_now) <= rules.max_skew:
        return Word.CLOCK, writes
    # 2
    if not is_primary:
        return Word.REPLICA, writes
    # 3
    fence = keyspace.fence
    if fence is None or (fence.identity != identity and rules.fence_moves):
        fence = Fence(identity, now)
        writes.append(fence)
    # 4
    if not call.issued_at > fence.since + rules.margin:
        return Word.FENCED, writes
    # 5
    if not call.keep_until > now:
        # What Redis does with a PXAT in the past: it says "nothing was there", and leaves nothing there.
        return (Word.EXPIRED if rules.refuses_past_end else Word.FIRST), writes
    # 6
    before = keyspace.used.get(call.key)
    if before is None or before.until <= now:
        refusal = _charged(call, keyspace, rules, fence, writes)
        if refusal is not None:
            return refusal, writes
        writes.append(Used(call.key, call.nonce, now, call.keep_until))
        return Word.FIRST, writes
    if rules.compares_nonce and before.nonce == call.nonce and now - before.first <= rules.own_write:
        # WAIT counts what its own connection wrote: on another one there would be nothing to wait for.
        writes += [before] if rules.rewrites_own else []
        return Word.FIRST, writes
    return Word.USED, writes


def _charged(call: Call, keyspace: Keyspace, rules: Rules, fence: Fence, writes: list[Write]) -> Word | None:
    """Charge the call's budget, if it has one; judged after the token, and written with it."""
    if call.budget is None:
        return None
    if rules.fences_budgets and not call.since > fence.since + rules.margin:
        return Word.FENCED
    if not keyspace.charged.count(call.budget) < rules.limit:
        return Word.EXHAUSTED
    writes.append(Charged(call.budget))
    return None
