"""What if the store is slow, or down, or asked too much?  A guard around any used-list: fail fast, closed, and recover.

- **Circuit**: after a few faults in a row nothing is sent any more; every use fails at once, its token unspent.
  Meanwhile the store is *looked at* (never spent in) several times a second; the first good look closes the circuit.
- **Bounded**: only so many uses wait at a time; one more fails at once, its token unspent.
- **Watched**: the store's health is asked at start and every second.  What is found first is told, and every change of
  readiness; another trouble, remark or warning at most every half minute.  A look also moves the fence of a store that
  forgot, so that the refusal window begins with the fault and not with the first spend after it.
"""

import asyncio
import contextlib
import math
import re
from collections.abc import Callable
from typing import Final

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import Spend, StoreHealth, Use, UsedList, UsedListError, UsedListFault

FAULTS_IN_A_ROW: Final = 5
PROBE_SECONDS: Final = 0.2
LOOK_SECONDS: Final = 0.5
FIRST_LOOK_SECONDS: Final = 2.0  # a connection may take 1 s, and then the list itself says what is wrong with it
WATCH_SECONDS: Final = 1.0
TELL_AGAIN_SECONDS: Final = 30.0
MOST_WAITING: Final = 4096
"""About what Envoy's circuit breaker lets through to us; more would only wait past their deadlines."""

_NUMBER: Final = re.compile(r"\d+")


class GuardedUsedList:
    """Guards one used-list; keeps the port's contract, since it only ever adds refusals."""

    def __init__(
        self,
        used_list: UsedList,
        *,
        on_change: Callable[[StoreHealth], None],
        on_look: Callable[[StoreHealth], None] = lambda _: None,
    ) -> None:
        """``on_look`` is told what every look found, ``on_change`` what an operator should read."""
        self._used_list = used_list
        self._on_change = on_change
        self._on_look = on_look
        self._faults = 0
        self._waiting = 0
        self._told: StoreHealth | None = None
        self._told_at = -math.inf
        self._probe: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the list and the watch over it."""
        await self._used_list.start()
        await self._look_in_time(FIRST_LOOK_SECONDS)
        self._watch = asyncio.create_task(self._keep_watching())

    async def mark_used(self, use: Use, *, timeout: float) -> Spend:  # noqa: ASYNC109 - handed on
        """Spend, unless the circuit is open or too many wait."""
        if self._probe is not None:
            detail = f"the store failed {FAULTS_IN_A_ROW} times in a row; looked at every {PROBE_SECONDS} s"
            raise UsedListError(UsedListFault.CIRCUIT_OPEN, TokenState.UNSPENT, detail)
        if self._waiting >= MOST_WAITING:
            raise UsedListError(UsedListFault.OVERLOADED, TokenState.UNSPENT, f"{MOST_WAITING} uses are waiting")
        self._waiting += 1
        try:
            spend = await self._used_list.mark_used(use, timeout=timeout)
        except UsedListError as error:
            self._failed(error.fault)
            raise
        finally:
            self._waiting -= 1
        self._faults = 0
        return spend

    async def health(self) -> StoreHealth:
        """Ask the store itself."""
        return await self._look()

    async def close(self) -> None:
        """Stop watching, then close the list."""
        for task in (self._probe, self._watch):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        await self._used_list.close()

    def _failed(self, fault: UsedListFault) -> None:
        # A reply is an answer, if an odd one: the store is there, and its complaint is for each use to hear.
        self._faults = 0 if fault is UsedListFault.REPLY else self._faults + 1
        if self._faults >= FAULTS_IN_A_ROW and self._probe is None and fault is not UsedListFault.CLOSED:
            self._probe = asyncio.create_task(self._probe_until_ready())

    async def _probe_until_ready(self) -> None:
        while not (await self._look_in_time()).ready:  # noqa: ASYNC110 - nobody tells us when a store is back
            await asyncio.sleep(PROBE_SECONDS)
        self._faults = 0
        self._probe = None

    async def _keep_watching(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            await self._look_in_time()

    async def _look_in_time(self, limit: float = LOOK_SECONDS) -> StoreHealth:
        """Look, but not for long: a look that hangs on a paused store must not keep the probe from going on."""
        try:
            async with asyncio.timeout(limit):
                return await self._look()
        except Exception as error:  # noqa: BLE001 - whatever broke, a circuit that nobody probes would stay open for ever
            health = StoreHealth(ready=False, detail=f"no answer to a look in {limit} s ({type(error).__name__})")
            self._on_look(health)
            if self._told is None or self._told.ready:  # else a better reason was told already
                self._tell(health)
            return health

    async def _look(self) -> StoreHealth:
        health = await self._used_list.health()
        self._on_look(health)
        self._tell(health)
        return health

    def _tell(self, health: StoreHealth) -> None:
        now = asyncio.get_running_loop().time()
        is_turned = self._told is None or health.ready != self._told.ready
        if is_turned or (now >= self._told_at + TELL_AGAIN_SECONDS and _gist(health) != _gist(self._told)):
            self._told, self._told_at = health, now
            self._on_change(health)


def _gist(health: StoreHealth | None) -> tuple[object, ...]:
    """Return what makes one health another: not how long a store has been whole, or by how much a clock is off."""
    if health is None:
        return ()
    return health.remarks, health.warnings, "" if health.ready else _NUMBER.sub("0", health.detail)
