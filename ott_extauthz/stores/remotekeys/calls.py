"""How does a blocking library serve an event loop?  In a few threads, with few waiting, and none waited for long."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Final, TypeVar

from ott_extauthz.ports import SigningError

T = TypeVar("T")

THREADS: Final = 8
MOST_AT_ONCE: Final = 64
"""Calls running or waiting; what comes beyond is refused at once, or an outage would pile up requests."""


class BoundedCalls:
    """Calls functions in threads of its own; each within ``seconds``, the waiting for a thread included."""

    def __init__(self, *, seconds: float, threads: int = THREADS, most: int = MOST_AT_ONCE) -> None:
        self._seconds = seconds
        self._slots = BoundedSemaphore(most)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="key-ring")

    async def call(self, function: Callable[[], T]) -> T:
        """Return what ``function`` returns, or raise what it raises.

        Raises:
            SigningError: too many are waiting, or it took too long; a call that runs is left to its own timeouts.
        """
        if not self._slots.acquire(blocking=False):
            raise SigningError("too many calls are waiting")
        future = self._pool.submit(function)
        future.add_done_callback(lambda _: self._slots.release())
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise SigningError("no answer in time") from None
