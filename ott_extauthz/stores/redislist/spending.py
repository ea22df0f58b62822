"""How does a use get to its servers?  It joins the uses of this tick, which every server of the list is sent."""

import asyncio
from collections.abc import Callable, Sequence

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import Spend, Use, UsedListError, UsedListFault
from ott_extauthz.stores.redislist.batch import Attempt, Group
from ott_extauthz.stores.redislist.node import Node
from ott_extauthz.stores.redislist.script import PackedUse, SpendScript


class Spending:
    """Spends the tokens of one bucket on ``nodes``; what they say of a use is heard by an attempt ``made`` for it."""

    def __init__(
        self,
        script: SpendScript,
        nodes: Sequence[Node],
        *,
        made: Callable[[PackedUse, float, asyncio.Future[Spend]], Attempt] = Attempt,
    ) -> None:
        self.script = script
        self.nodes = nodes
        self._made = made
        self._group = Group(script)
        self._group.is_open = False

    def begin(self, use: Use, deadline: float) -> asyncio.Future[Spend]:
        """Send ``use``; the future fails with UsedListError at ``deadline``, by the event loop's clock, at the latest.

        Raises:
            UsedListError: no time was left, or the lanes are closed.
        """
        loop = asyncio.get_running_loop()
        if deadline <= loop.time():
            raise UsedListError(UsedListFault.TIMEOUT, TokenState.UNSPENT, "no time was left to send")
        result: asyncio.Future[Spend] = loop.create_future()
        if not self._group.is_open:
            group = Group(self.script)
            for node in self.nodes:
                node.post(group)
            self._group = group
        self._group.add(self._made(self.script.packed_use(use), deadline, result))
        return result
