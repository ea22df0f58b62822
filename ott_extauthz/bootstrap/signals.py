"""When shall a server leave, and when read its files anew?"""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


@contextmanager
def on_hangup(*asks: Callable[[], None]) -> Iterator[None]:
    """Have SIGHUP ask for a reload, from the event loop: a signal handler proper could interrupt itself half-way."""

    def ask_all() -> None:
        for ask in asks:
            ask()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, ask_all)
    try:
        yield
    finally:
        # What comes now, while the server leaves, must not end it early.
        loop.remove_signal_handler(signal.SIGHUP)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
