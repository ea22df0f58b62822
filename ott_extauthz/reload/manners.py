"""How does a long load leave room for Checks?  Both share Python's one lock, and its garbage collector.

- Turns are shorter than Python's usual 5 ms, which the event loop would wait for at each turn of its own.
- No collection runs meanwhile: each would walk through everything loaded so far, in one go.  What a big load made is
  then left out of collections for good; it holds no cycles, and is freed with its last reference.

Compiling 10,000 routes held the event loop up for 550 ms at worst (p99 160 ms) without this, 60 ms (2 ms) with it.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

TURN_SECONDS: Final = 0.0005
MANY_OBJECTS: Final = 50_000
"""Fewer are walked through in a few milliseconds."""


@contextmanager
def leaving_room() -> Iterator[None]:
    """Load within this block; the settings are the process's, so one thread at a time."""
    turn, collects = sys.getswitchinterval(), gc.isenabled()
    sys.setswitchinterval(min(turn, TURN_SECONDS))
    gc.disable()
    try:
        yield
    finally:
        if gc.get_count()[0] > MANY_OBJECTS:
            gc.freeze()
        if collects:
            gc.enable()
        sys.setswitchinterval(turn)
