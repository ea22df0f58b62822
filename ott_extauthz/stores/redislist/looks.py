"""How do several servers' looks make one line?  Those that do not answer in time are named, not waited for."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from ott_extauthz.ports import StoreHealth, StoreServer, StoreState
from ott_extauthz.stores.redislist.node import Node

PATIENCE_SECONDS: Final = 0.35
"""Less than any watcher's patience: one paused server must not make the whole list look hung."""


async def gathered(
    looks: Sequence[Coroutine[Any, Any, StoreHealth]], nodes: Sequence[Node], *, needed: int, is_patient: bool
) -> StoreHealth:
    """Look everywhere at once; ready if ``needed`` servers are.  Troubles come first in the line.

    Who is patient, because it must set fences, waits for as long as the looks themselves do.
    """
    tasks = [asyncio.create_task(look) for look in looks]
    try:
        await asyncio.wait(tasks, timeout=None if is_patient else PATIENCE_SECONDS)
        healths = [task.result() if task.done() else _silent(node) for task, node in zip(tasks, nodes, strict=True)]
    finally:
        for task in tasks:
            task.cancel()
    count = sum(health.ready for health in healths)
    told = "; ".join([health.detail for health in sorted(healths, key=lambda health: health.ready)])
    return StoreHealth(
        ready=count >= needed,
        detail=f"{count} of {len(healths)} servers ready, {needed} needed: {told}",
        remarks=tuple(remark for health in healths for remark in health.remarks),
        warnings=tuple(warning for health in healths for warning in health.warnings),
        servers=tuple(server for health in healths for server in health.servers),
    )


def _silent(node: Node) -> StoreHealth:
    server = StoreServer(str(node.place), StoreState.UNREACHABLE)
    return StoreHealth(ready=False, detail=f"{node.place}: {node.trouble}", servers=(server,))
