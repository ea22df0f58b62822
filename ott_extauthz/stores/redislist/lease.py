"""Which server is the primary?  What a majority of the voters in ``store.url`` says, for :data:`LEASE_SECONDS`.

Voters are sentinels, or servers of a cluster.  Why a lease keeps the promise: let one process use the old primary O,
and another one the new primary R.  Their majorities share a voter, which said O first and R later (its word carries the
term, and terms only grow).  So the last use of O was begun within a lease of a question that was asked before the first
touch of R; and R's fence refuses whatever was issued before its first touch plus a lease plus the fence's margin.  Who
cannot reach a majority stops when the lease ends.  It needs one list of voters for all callers, and monotonic clocks.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import UsedListError, UsedListFault
from ott_extauthz.stores.redislist.lane import Lane
from ott_extauthz.stores.redislist.places import Place

LEASE_SECONDS: Final = 2.0
ROUND_SECONDS: Final = 0.4
"""A voter that has not answered by then is not waited for."""

PAUSE_SECONDS: Final = 0.05
"""Between two rounds: a primary that fails a thousand uses a second must not make as many questions of it."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A primary, and the number of its term."""

    host: str
    port: int
    term: str


View = tuple[Owner | None, ...]
"""The owner of each bucket; None where there is none, or no majority for one."""


class NoVote(Exception):  # noqa: N818 - a voter abstains
    """A voter's answer names no primary, and why."""


@dataclass(frozen=True, slots=True)
class Poll:
    """What voters are asked, how their answer is read (NoVote if it names nobody), and the buckets it speaks of."""

    question: bytes
    read: Callable[[object, Place], View]
    buckets: Sequence[str]


@dataclass(frozen=True, slots=True)
class Voter:
    """One of those who know the primary."""

    place: Place
    lane: Lane
    trouble: Callable[[], str | None] = lambda: None
    """Why the last attempt to connect failed: a round may be over before one is."""


class Lease:
    """Knows who owns the buckets, and until when that may be relied on; asks anew before it ends."""

    def __init__(self, voters: Sequence[Voter], poll: Poll, *, on_change: Callable[[View], None]) -> None:
        self._voters = voters
        self._poll = poll
        self._on_change = on_change
        self._majority = len(voters) // 2 + 1
        self._view: View = ()
        self._until = self._asked_at = -math.inf
        self._why = "not asked yet"
        self._round: asyncio.Task[None] | None = None

    async def view(self, deadline: float) -> View:
        """Return who owns the buckets now.

        Raises:
            UsedListError: no majority has said so within the lease; nothing was sent.
        """
        now = asyncio.get_running_loop().time()
        if now < self._until:
            if now > self._until - LEASE_SECONDS / 2:
                self._begin(now)
            return self._view
        return await self.renewed(deadline)

    async def renewed(self, deadline: float) -> View:
        """Ask again, unless that was done a moment ago; the same otherwise."""
        loop = asyncio.get_running_loop()
        self._begin(loop.time())
        if self._round is not None and not self._round.done():
            await asyncio.wait([self._round], timeout=max(0.0, deadline - loop.time()))
        if loop.time() < self._until:
            return self._view
        raise UsedListError(UsedListFault.CONNECT, TokenState.UNSPENT, self._why)

    async def close(self) -> None:
        """Stop asking."""
        if self._round is not None:
            self._round.cancel()
            await asyncio.wait([self._round])
        await asyncio.gather(*(voter.lane.close() for voter in self._voters))

    def _begin(self, now: float) -> None:
        if now > self._asked_at + PAUSE_SECONDS and (self._round is None or self._round.done()):
            self._asked_at = now
            self._round = asyncio.get_running_loop().create_task(self._ask())

    async def _ask(self) -> None:
        asked_at = asyncio.get_running_loop().time()
        deadline = asked_at + ROUND_SECONDS
        votes: list[View] = []
        troubles: list[str] = []
        for next_voice in asyncio.as_completed([self._voice(voter, deadline) for voter in self._voters]):
            voice = await next_voice
            if isinstance(voice, str):
                troubles.append(voice)
            else:
                votes.append(voice)
                if votes.count(voice) >= self._majority:
                    break  # not a word from the others could change it
        view = self._agreed(votes)
        if not any(view):
            told = "; ".join(sorted(troubles)) or "they disagree, as they do while a failover is under way"
            self._why = (
                f"{len(votes)} of {len(self._voters)} in store.url know a primary, {self._majority} must agree: {told}"
            )
            return
        is_changed, self._view, self._until = view != self._view, view, asked_at + LEASE_SECONDS
        if is_changed:
            self._on_change(view)

    async def _voice(self, voter: Voter, deadline: float) -> View | str:
        try:
            return self._poll.read((await voter.lane.ask(self._poll.question, deadline)).reply, voter.place)
        except (UsedListError, NoVote, ValueError) as error:  # ValueError: no number where one belongs
            is_unconnected = isinstance(error, UsedListError) and error.fault is UsedListFault.CONNECT
            return f"{voter.place}: {(is_unconnected and voter.trouble()) or error}"

    def _agreed(self, votes: Sequence[View]) -> View:
        if not votes:
            return ()
        agreed: list[Owner | None] = []
        for words in zip(*votes, strict=True):
            owner, count = Counter(words).most_common(1)[0]
            agreed.append(owner if count >= self._majority else None)
        return tuple(agreed)
