"""When did one of the run's processes want the processor and not get it?

A clock read before such a wait and compared after it disagrees; an answer that waits for one comes late.  What is
refused then is refused as it should be, and says nothing of the store.  Linux counts the wait of every thread
(schedstat), and adds it up when the thread runs again; without /proc nothing is excused.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

EVERY: Final = 0.1
LONG: Final = 0.15
"""A wait that counts, in seconds: a store's answer takes two thousandths."""

Period = tuple[float, float]


class Watch:
    """Watches this process and all that descend from it."""

    def __init__(self) -> None:
        self.periods: list[Period] = []
        self._waited: dict[Path, int] = {}

    async def keep(self) -> None:
        while True:
            await asyncio.to_thread(self._look)
            await asyncio.sleep(EVERY)

    def _look(self) -> None:
        now = time.monotonic()
        seen = dict(_waits())
        for thread, waited in seen.items():
            seconds = (waited - self._waited.get(thread, waited)) / 1e9
            if seconds >= LONG:
                self.periods.append((now - seconds - EVERY, now))
        self._waited = seen


def _waits() -> Iterator[tuple[Path, int]]:
    for pid in _family(os.getpid()):
        for thread in _listed(Path(f"/proc/{pid}/task")):
            try:
                yield thread, int((thread / "schedstat").read_text().split()[1])
            except (OSError, IndexError, ValueError):
                continue  # it has just ended


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _family(pid: int) -> list[int]:
    found = [pid]
    for thread in _listed(Path(f"/proc/{pid}/task")):
        try:
            children = (thread / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            found += _family(int(child))
    return found


def merged(periods: list[Period]) -> list[Period]:
    """Return the union, in order."""
    union: list[Period] = []
    for start, end in sorted(periods):
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(end, union[-1][1]))
        else:
            union.append((start, end))
    return union
