"""Which tokens were used?  Remembered by whatever server owns the token's bucket now: sentinels or a cluster say which.

An attempt goes to the owner that the lease names.  If that fails, the lease is asked again, and if the owner is another
one by then, the same attempt (the same nonce) goes there once.  What a server says of another one (MOVED) is a reason
to ask, not an answer: only a majority moves an attempt.

The bucket is the account's: the counters that a use charges lie in the same slot, under the same fence, and one script
call stays atomic.  Every use of one token has one account, so it comes to one bucket, and two uses of it meet there.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, Final

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import Clock, Spend, SpendOutcome, StoreHealth, Use, UsedListError, UsedListFault
from ott_extauthz.sections.serving import ClockBounds
from ott_extauthz.sections.store import Store
from ott_extauthz.stores.redislist.connecting import MINIMUM_LIMIT_SECONDS, Connector
from ott_extauthz.stores.redislist.lane import MOST_SENDS, Lane
from ott_extauthz.stores.redislist.lease import LEASE_SECONDS, ROUND_SECONDS, Lease, Owner, Poll, View, Voter
from ott_extauthz.stores.redislist.looks import gathered
from ott_extauthz.stores.redislist.node import Node, fence_margin_ms
from ott_extauthz.stores.redislist.places import Place, places_from
from ott_extauthz.stores.redislist.script import SpendScript
from ott_extauthz.stores.redislist.spending import Spending

LEASED_MS: Final = int(LEASE_SECONDS * 1000)


def leased_margin_ms(bounds: ClockBounds) -> int:
    """Return the least margin where primaries change: an old one may be used for one lease more."""
    return fence_margin_ms(bounds) + LEASED_MS


class RoutedUsedList:
    """A used-list on the primaries that the voters of ``store.url`` name, for one event loop."""

    def __init__(self, *, settings: Store, bounds: ClockBounds, clock: Clock, poll: Poll) -> None:
        self._settings, self._bounds, self._clock, self._buckets = settings, bounds, clock, poll.buckets
        self._margin_ms = leased_margin_ms(bounds)
        self._longest = MOST_SENDS * settings.timeout / 1000
        # Longer than an attempt to connect: what is told first should be why it failed, not that it is not over.
        self._patience = max(MINIMUM_LIMIT_SECONDS, settings.timeout / 1000) + ROUND_SECONDS
        self._base = places_from(settings.url)[0]
        self._nodes: dict[tuple[str, int], Node] = {}
        self._spendings: dict[int, tuple[str, Spending]] = {}
        self._background: set[asyncio.Task[object]] = set()
        self._is_closed = False
        voters = [self._voter(place) for place in places_from(settings.url)]
        self._lease = Lease(voters, poll, on_change=self._changed)

    async def start(self) -> None:
        """Find the primaries and set every bucket's fence; what is wrong shows in health."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience
        while not (await self._health(is_patient=True)).ready and loop.time() < until:  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(ROUND_SECONDS / 2)

    async def mark_used(self, use: Use, *, timeout: float) -> Spend:  # noqa: ASYNC109 - kept by the lanes' alarms
        """Spend once, with the bucket's owner."""
        if use.keep_until_ms <= use.now_ms:
            return Spend(SpendOutcome.EXPIRED)
        if self._is_closed:
            raise UsedListError(UsedListFault.CLOSED, TokenState.UNSPENT, "the used-list is closed")
        deadline = asyncio.get_running_loop().time() + min(timeout, self._longest)
        bucket = (use.account or use.key)[-1] % len(self._buckets)
        owner = _owner_in(await self._lease.view(deadline), bucket)
        try:
            spend = await self._spend(use, bucket, owner, deadline)
        except UsedListError as error:
            if error.fault is UsedListFault.CLOSED or error.token_state is TokenState.SPENT:
                raise
            return await self._elsewhere(use, bucket, owner, deadline, error)
        if spend.outcome is SpendOutcome.NOT_PRIMARY:
            return await self._elsewhere(use, bucket, owner, deadline, spend)
        return spend

    async def health(self) -> StoreHealth:
        """Look at every primary, in each of its buckets; that sets the fences where there are none."""
        return await self._health(is_patient=False)

    async def _health(self, *, is_patient: bool) -> StoreHealth:
        try:
            view = await self._lease.renewed(asyncio.get_running_loop().time() + ROUND_SECONDS)
        except UsedListError as error:
            return StoreHealth(ready=False, detail=str(error))
        if None in view:
            detail = f"{view.count(None)} of {len(view)} buckets have no primary that a majority knows"
            return StoreHealth(ready=False, detail=detail)
        return await self._look(view, is_patient=is_patient)

    async def close(self) -> None:
        """Fail what is under way and let go of the connections."""
        self._is_closed = True
        await self._lease.close()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await asyncio.gather(*(node.close() for node in self._nodes.values()))

    async def _spend(self, use: Use, bucket: int, owner: Owner, deadline: float) -> Spend:
        return await self._spending(bucket, owner).begin(use, deadline)

    async def _elsewhere(
        self, use: Use, bucket: int, owner: Owner, deadline: float, so_far: Spend | UsedListError
    ) -> Spend:
        """Send the same attempt to the new owner, if there is one; else it stays as it was."""
        try:
            now_owner = _owner_in(await self._lease.renewed(deadline), bucket)
        except UsedListError:
            now_owner = owner
        is_unseen = isinstance(so_far, UsedListError) and so_far.token_state is not TokenState.UNSPENT
        if now_owner == owner:
            if isinstance(so_far, UsedListError):
                raise so_far
            return so_far
        try:
            spend = await self._spend(use, bucket, now_owner, deadline)
        except UsedListError as error:
            raise (UsedListError(error.fault, TokenState.UNKNOWN, str(error)) if is_unseen else error) from None
        if is_unseen and spend.outcome not in (SpendOutcome.FIRST_USE, SpendOutcome.ALREADY_USED, SpendOutcome.FENCED):
            detail = f"first without an answer, then {spend.outcome.name}"
            raise UsedListError(UsedListFault.LOST, TokenState.UNKNOWN, detail)
        return spend

    def _voter(self, place: Place) -> Voter:
        is_sentinel = self._settings.kind == "sentinel"
        if is_sentinel:
            place = replace(place, username=None, database=0)
        connector = Connector(self._settings, place, is_sentinel=is_sentinel)
        return Voter(place, Lane(connector, limit=ROUND_SECONDS), lambda: connector.trouble)

    def _node(self, owner: Owner) -> Node:
        where = (owner.host, owner.port)
        if where not in self._nodes:
            self._nodes[where] = Node(self._settings, replace(self._base, host=owner.host, port=owner.port))
        return self._nodes[where]

    def _spending(self, bucket: int, owner: Owner) -> Spending:
        """Return the way of a bucket's uses; another term, or another connection, is another way."""
        term, spending = self._spendings.get(bucket, ("", None))
        node = self._node(owner)
        if spending is None or term != owner.term or spending.nodes[0] is not node:
            script = SpendScript(
                max_skew_ms=self._bounds.max_skew,
                margin_ms=self._margin_ms,
                bucket=self._buckets[bucket],
                term=owner.term,
            )
            spending = Spending(script, [node])
            self._spendings[bucket] = owner.term, spending
        return spending

    def _changed(self, view: View) -> None:
        """Set new owners' fences at once, lest every bucket refuse its own first tokens; drop who owns nothing."""
        owners = {(owner.host, owner.port) for owner in view if owner}
        for where in [where for where in self._nodes if where not in owners]:
            self._in_background(self._retire(self._nodes.pop(where)))
        self._in_background(self._look(view, is_patient=True))

    async def _retire(self, node: Node) -> None:
        """Let what is under way there come to its end; then let go."""
        try:
            await asyncio.sleep(self._longest)
        finally:
            await node.close()

    async def _look(self, view: View, *, is_patient: bool) -> StoreHealth:
        of_owner: dict[Owner, list[SpendScript]] = {}
        for bucket, owner in enumerate(view):
            if owner is not None:
                of_owner.setdefault(owner, []).append(self._spending(bucket, owner).script)
        nodes = [self._node(owner) for owner in of_owner]
        looks = [
            node.look(scripts, self._clock, self._bounds, self._margin_ms)
            for node, scripts in zip(nodes, of_owner.values(), strict=True)
        ]
        return await gathered(looks, nodes, needed=len(nodes), is_patient=is_patient)

    def _in_background(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _owner_in(view: View, bucket: int) -> Owner:
    owner = view[bucket]
    if owner is None:
        raise UsedListError(UsedListFault.CONNECT, TokenState.UNSPENT, "no majority knows the primary of this bucket")
    return owner
