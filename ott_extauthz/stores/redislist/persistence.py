"""Does the server write its data to disk, and does that work?  Told to the operator; no spend waits for it.

The promise does not rest on it: any restart moves the fence, with data or without.  But a disk that fails makes the
server refuse writes (MISCONF), and so every spend.  What is set is asked with CONFIG GET, which the user needs no right
to (it shows the server's password, too): without it, what INFO tells is told.
"""

import asyncio
import math
from dataclasses import dataclass
from typing import Final

import hiredis

from ott_extauthz.stores.redislist import script
from ott_extauthz.stores.redislist.lane import Lane

AGAIN_SECONDS: Final = 30.0
FORBIDDEN_AGAIN_SECONDS: Final = 600.0
"""Whoever may not ask is in the server's ACL LOG each time."""

_STATE: Final = script.packed("INFO", "persistence")
_SETTINGS: Final = script.packed("CONFIG", "GET", "save", "appendfsync")
_FAILURES: Final = {
    "aof_last_write_status": "writing the AOF failed",
    "rdb_last_bgsave_status": "the last snapshot failed",
    "aof_last_bgrewrite_status": "the last rewrite of the AOF failed",
}


@dataclass(frozen=True, slots=True)
class Persistence:
    """What is known, in one line that reads the same until something changes."""

    text: str
    fails: bool = False


def persistence_from(state: object, settings: object) -> Persistence | None:
    """Read the answers to INFO persistence and CONFIG GET; None if the first is none."""
    if not isinstance(state, bytes):
        return None
    lines = (line.partition(":") for line in state.decode(errors="replace").splitlines())
    fields = {name: value for name, _, value in lines}
    if "aof_enabled" not in fields:
        return None
    failures = [told for name, told in _FAILURES.items() if fields.get(name) == "err"]
    if failures:
        return Persistence(
            f"persistence: {', '.join(failures)}; it may refuse writes (MISCONF), see its log", fails=True
        )
    return Persistence(f"persistence: {_kind(settings, has_aof=fields['aof_enabled'] == '1')}")


def _kind(settings: object, *, has_aof: bool) -> str:
    if not isinstance(settings, list):
        aof = "AOF" if has_aof else "no AOF"
        return f"{aof}; the user may not ask for more (CONFIG GET), nor needs to"
    said = dict(zip(settings[::2], settings[1::2], strict=False))
    save, fsync = (bytes(said.get(name, b"")).decode(errors="replace") for name in (b"save", b"appendfsync"))
    kinds = [f"AOF, fsync {fsync}"] * has_aof + [f"snapshots ({save})"] * bool(save)
    return " and ".join(kinds) or "none (a restart moves the fence with or without it)"


class PersistenceWatch:
    """Asks one server at its first look and every :data:`AGAIN_SECONDS`."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._next = self._next_settings = -math.inf
        self.said: Persistence | None = None

    async def look(self, deadline: float) -> None:
        """Ask again, if it is time.

        Raises:
            UsedListError: there was no answer.
        """
        now = asyncio.get_running_loop().time()
        if now < self._next:
            return
        state = (await self._lane.ask(_STATE, deadline)).reply
        settings: object = None
        if now >= self._next_settings:
            settings = (await self._lane.ask(_SETTINGS, deadline)).reply
            if isinstance(settings, hiredis.ReplyError):
                self._next_settings = now + FORBIDDEN_AGAIN_SECONDS
        self._next = now + AGAIN_SECONDS
        self.said = persistence_from(state, settings)
