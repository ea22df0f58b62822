"""What is one store server?  A keyspace, an identity, a clock, and a stream that replicas follow as far as they got.

Only what Redis does by measurement is done here: a flush leaves the identity alone, a restart changes replid and
run_id, a promotion the replid; an eviction is counted.  An acknowledgement once counted stays counted in its stream,
though the replica may have left and thrown its copy away: the primary does not learn of it in time.
"""

from dataclasses import dataclass, field
from itertools import count

from tests.model.protocol import Protocol
from tests.model.script import Call, Identity, Keyspace, Rules, Word, Write, consume


@dataclass(slots=True, eq=False)
class Node:
    """One server, up or down."""

    number: int
    rules: Rules
    ids: "count[int]"
    source: "Node | None" = None
    offset: int = 0
    is_up: bool = True
    keyspace: Keyspace = field(default_factory=Keyspace)
    run_id: int = 0
    replid: int = 0
    evicted: int = 0
    stream: list[Write | None] = field(default_factory=list)  # None is a FLUSHALL
    acknowledged: dict[int, int] = field(default_factory=dict)
    followed: int = 0  # the replid that this replica's copy belongs to
    position: int = 0  # how much of that stream it has applied

    def __post_init__(self) -> None:
        self.run_id = next(self.ids)
        self.begin_stream()

    @property
    def identity(self) -> Identity:
        return self.replid, self.run_id, self.evicted

    @property
    def is_primary(self) -> bool:
        return self.source is None

    def begin_stream(self) -> None:
        self.replid, self.stream, self.acknowledged = next(self.ids), [], {}

    def run(self, call: Call, now: int) -> tuple[Word, bool]:
        """Return the script's answer, and whether it wrote anything."""
        word, writes = consume(
            call, self.keyspace, self.rules, now=now + self.offset, is_primary=self.is_primary, identity=self.identity
        )
        for write in writes:
            self.keyspace.apply(write)
        self.stream += writes
        return word, bool(writes)

    def step_clock(self, now: int, offset: int) -> None:
        """Move the clock; whatever was over before or is over after the step is gone for good."""
        self.keyspace.expire(now + self.offset)
        self.offset = offset
        self.keyspace.expire(now + self.offset)

    def forget(self, uses: int) -> None:
        """Lose the latest so many uses; all of them means the fence too, unless this node's fence does not move."""
        kept = max(0, len(self.keyspace.used) - uses)
        self.keyspace.used = dict(list(self.keyspace.used.items())[:kept])
        self.keyspace.charged = self.keyspace.charged[: max(0, len(self.keyspace.charged) - uses)] if kept else []
        if kept == 0 and self.rules.fence_moves:
            self.keyspace.fence = None

    def flush(self) -> None:
        self.forget(len(self.keyspace.used))
        self.stream.append(None)

    def evict(self, key: int) -> None:
        """Drop one use, which a replica is not told here: it may keep what it has, or have lost something else."""
        if self.keyspace.used.pop(key, None):
            self.evicted += 1

    def restart(self, uses_lost: int) -> None:
        self.forget(uses_lost)
        self.is_up, self.run_id, self.evicted, self.followed = True, next(self.ids), 0, 0
        self.begin_stream()

    def promote(self) -> None:
        self.source = None
        self.begin_stream()

    def follow(self, primary: "Node") -> None:
        """Become a replica of another node; the old copy goes when the new one comes."""
        if primary is not self and primary.is_primary:
            self.source, self.followed = primary, 0
            self.begin_stream()

    def replicate(self, writes: int) -> None:
        """Receive some more of the source's stream and acknowledge it; copy all of it if the history is another."""
        source = self.source
        if source is None or not (self.is_up and source.is_up and source.is_primary):
            return
        if self.followed != source.replid:
            self.followed, self.position, self.keyspace = source.replid, len(source.stream), source.keyspace.copy()
        for write in source.stream[self.position : self.position + writes]:
            self.position += 1
            if write is None:
                self.forget(len(self.keyspace.used))
            else:
                self.keyspace.apply(write)
        source.acknowledged[self.number] = self.position

    def acknowledgements(self, position: int) -> int:
        return sum(received >= position for received in self.acknowledged.values())


def nodes_of(protocol: Protocol) -> list[Node]:
    """Start the protocol's nodes: independent, or the first of them the primary of as many as it is to have."""
    ids = count(1)
    nodes = [Node(number, protocol.rules_at(number), ids) for number in range(protocol.nodes)]
    for replica in nodes[1 : 1 + (protocol.replicas or 0)]:
        replica.follow(nodes[0])
        replica.replicate(0)
    return nodes
