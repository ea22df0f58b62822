"""How does a long load leave room for Checks?  Both share Python's one lock, and its garbage collector.

- Turns are shorter than Python's usual 5 ms, which the event loop would wait for at each turn of its own.
- No collection runs meanwhile: each would walk through everything loaded so far, in one go.  What a big load made is
  then left out of collections for good; it holds no cycles, and is freed with its last reference.

Compiling 10,000 routes held the event loop up for 550 ms at worst (p99 160 ms) without this, 60 ms (2 ms) with it.
"""

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

TURN_SECONDS: Final = 0.0005
MANY_OBJECTS: Final = 50_000
"""Fewer are walked through in a few milliseconds."""


class _Room:
    """What the process had before its first load under way; who leaves last puts it back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loads = 0
        self._turn = 0.0
        self._collects = False

    def enter(self) -> None:
        with self._lock:
            self._loads += 1
            if self._loads == 1:
                self._turn, self._collects = sys.getswitchinterval(), gc.isenabled()
                sys.setswitchinterval(min(self._turn, TURN_SECONDS))
                gc.disable()

    def leave(self) -> None:
        with self._lock:
            self._loads -= 1
            if self._loads == 0:
                self._put_back()

    def _put_back(self) -> None:
        if gc.get_count()[0] > MANY_OBJECTS:
            gc.freeze()
        if self._collects:
            gc.enable()
        sys.setswitchinterval(self._turn)


_ROOM: Final = _Room()


@contextmanager
def leaving_room() -> Iterator[None]:
    """Load within this block; loads of several threads may overlap, though the settings are the process's."""
    _ROOM.enter()
    try:
        yield
    finally:
        _ROOM.leave()
