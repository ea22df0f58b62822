"""Who counts the lines that the log lost?  The event loop, never the place where one was lost."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from ott_extauthz.observe.standard_error import StandardError


def count_lost(log: StandardError | None, count: Callable[[], None]) -> None:
    """Have every lost line counted, those before now too; called within the event loop that is to count.

    Whoever loses a line may hold the counter's own lock: a finalizer that warns runs wherever it likes.
    """
    if log is None:
        return
    loop = asyncio.get_running_loop()

    def count_later() -> None:
        with suppress(RuntimeError):  # the loop has ended, and nobody scrapes any more
            loop.call_soon_threadsafe(count)

    for _ in range(log.lost):
        count()
    log.on_lost = count_later
