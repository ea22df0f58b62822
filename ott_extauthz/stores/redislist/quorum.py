"""Which tokens were used?  Remembered by N independent primaries, of which a majority must say "first use".

Why it holds: two attempts that are both accepted share a server (two majorities of one list), which said "first use"
to both; so it had lost the use in between; so its fence had moved past it; so it refused the second.  Nothing is
assumed of disks, of the order of messages, or of delays.  It needs one list of servers for all callers.

A minority that is dead, slow, empty or fenced changes nothing: the answer is given as soon as a majority has spoken.
Two attempts at the same moment may leave no majority to either: both are refused, and the token is gone.

Charges are counted by one server, the account's home, which is asked before the others: what it refuses is written
nowhere, and nobody is let through without its word, so that exactly as many pass as it counts.  Were every server to
count, accepted uses could share the others and together take more than any one of them saw.  A home that is down
refuses the charged uses of its accounts; one that forgot refuses their budgets.
"""

import asyncio
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Final

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import Clock, Spend, SpendOutcome, StoreHealth, Use, UsedListError, UsedListFault
from ott_extauthz.sections.serving import ClockBounds
from ott_extauthz.sections.store import Store
from ott_extauthz.stores.redislist.batch import Attempt, Voice
from ott_extauthz.stores.redislist.looks import gathered
from ott_extauthz.stores.redislist.node import Node, fence_margin_ms
from ott_extauthz.stores.redislist.places import places_from
from ott_extauthz.stores.redislist.script import PackedUse, SpendScript
from ott_extauthz.stores.redislist.spending import Spending

_FIRST: Final = Spend(SpendOutcome.FIRST_USE)

_LEAVES_NO_TRACE: Final = frozenset(
    {SpendOutcome.EXPIRED, SpendOutcome.CLOCK_DISAGREES, SpendOutcome.NOT_PRIMARY, SpendOutcome.UNSAFE}
)


class Tally(Attempt):
    """Counts what the servers say to one attempt, until that settles it; ``has_home``: one said "first use" before."""

    __slots__ = ("_errors", "_first", "_majority", "_others", "_silent")

    def __init__(
        self,
        packed: PackedUse,
        deadline: float,
        result: asyncio.Future[Spend],
        *,
        voters: int,
        has_home: bool = False,
    ) -> None:
        super().__init__(packed, deadline, result)
        self._silent = voters - has_home
        self._majority = voters // 2 + 1
        self._first = int(has_home)
        self._others: list[Spend] = []
        self._errors: list[UsedListError] = []

    def hear(self, voice: Voice) -> None:
        """Count one server's word; every server is heard once, and after the end not at all."""
        if self.result.done():
            return
        self._silent -= 1
        if isinstance(voice, UsedListError):
            self._errors.append(voice)
        elif voice.outcome is SpendOutcome.FIRST_USE:
            self._first += 1
        else:
            self._others.append(voice)
        if self._first >= self._majority:
            self.result.set_result(_FIRST)
        elif self._first + self._silent < self._majority:
            self._refuse()

    def _refuse(self) -> None:
        """Refuse with the best reason there is; wait for more voices only while none is good enough."""
        counts = Counter([spend.outcome for spend in self._others])
        if counts[SpendOutcome.ALREADY_USED]:
            firsts = [spend.first for spend in self._others if spend.first is not None]
            earliest = min(firsts, key=lambda first: first.at_ms, default=None)
            self.result.set_result(Spend(SpendOutcome.ALREADY_USED, earliest))
            return
        if counts[SpendOutcome.FENCED] >= self._majority:
            self.result.set_result(Spend(SpendOutcome.FENCED))
            return
        for outcome in _LEAVES_NO_TRACE:
            if counts[outcome] >= self._majority and self._is_untouched and not self._silent:
                self.result.set_result(Spend(outcome))
                return
        if self._silent:
            return
        is_known = self._is_untouched and not counts[SpendOutcome.FENCED]
        state = TokenState.UNSPENT if is_known else TokenState.UNKNOWN
        said = ", ".join([f"{count} {outcome.name}" for outcome, count in counts.items()])
        told = "; ".join(sorted({str(error) for error in self._errors}))
        detail = f"no majority: {self._first} of {self._majority} first use{', ' if said else ''}{said}; {told}"
        fault = self._errors[0].fault if self._errors else UsedListFault.REPLY
        self.result.set_exception(UsedListError(fault, state, detail))

    @property
    def _is_untouched(self) -> bool:
        """Whether no server can have written this attempt."""
        return not self._first and all(error.token_state is TokenState.UNSPENT for error in self._errors)


class QuorumUsedList:
    """A used-list on N primaries that know nothing of each other, for one event loop."""

    def __init__(self, *, settings: Store, bounds: ClockBounds, clock: Clock) -> None:
        self._clock, self._bounds = clock, bounds
        self._margin_ms = fence_margin_ms(bounds)
        self._script = SpendScript(max_skew_ms=bounds.max_skew, margin_ms=self._margin_ms)
        self._nodes = [Node(settings, place) for place in places_from(settings.url)]
        self._spending = Spending(self._script, self._nodes, made=partial(Tally, voters=len(self._nodes)))
        self._at_home = [Spending(self._script, [node]) for node in self._nodes]
        self._elsewhere = [
            Spending(
                self._script,
                [node for node in self._nodes if node is not home],
                made=partial(Tally, voters=len(self._nodes), has_home=True),
            )
            for home in self._nodes
        ]

    async def start(self) -> None:
        """Connect and set the fences; servers that are down show in health."""
        await self._look(is_patient=True)

    async def mark_used(self, use: Use, *, timeout: float) -> Spend:  # noqa: ASYNC109 - kept by the lanes' alarms
        """Spend once: the same attempt to all at once; the first majority decides."""
        if use.keep_until_ms <= use.now_ms:
            return Spend(SpendOutcome.EXPIRED)
        deadline = asyncio.get_running_loop().time() + min(timeout, self._nodes[0].longest)
        if use.charges:
            return await self._charged(use, deadline)
        return await self._spending.begin(use, deadline)

    async def _charged(self, use: Use, deadline: float) -> Spend:
        """Ask the account's home, which alone counts, and then the others, who judge the token only."""
        home = int.from_bytes(use.account) % len(self._nodes)
        spend = await self._at_home[home].begin(use, deadline)
        if spend.outcome is not SpendOutcome.FIRST_USE:
            return spend
        try:
            return await self._elsewhere[home].begin(replace(use, charges=()), deadline)
        except UsedListError as error:
            raise UsedListError(error.fault, TokenState.UNKNOWN, str(error)) from None

    async def health(self) -> StoreHealth:
        """Look at every server; ready if a majority is."""
        return await self._look(is_patient=False)

    async def close(self) -> None:
        """Fail what is under way and let go of the connections."""
        await asyncio.gather(*(node.close() for node in self._nodes))

    async def _look(self, *, is_patient: bool) -> StoreHealth:
        majority = len(self._nodes) // 2 + 1
        looks = [node.look([self._script], self._clock, self._bounds, self._margin_ms) for node in self._nodes]
        return await gathered(looks, self._nodes, needed=majority, is_patient=is_patient)
