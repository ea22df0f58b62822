"""A token source that does as it is told: mints, waits, refuses, lies."""

import asyncio
from collections.abc import Sequence

from ott_extauthz.ports import MintedToken, TokenSourceError, TokenWanted
from tests.fakes.issuing import SetClock


class SetSource:
    """Mints tokens named 0, 1, 2, ... by the clock it is given; each mint waits for ``gate`` while it is closed."""

    def __init__(self, clock: SetClock, *, lifetime_ms: int = 30_000) -> None:
        self.clock = clock
        self.lifetime_ms = lifetime_ms
        self.orders: list[tuple[TokenWanted, int]] = []
        self.made = 0
        self.at_once = 0
        self.most_at_once = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.fault: Exception | None = None

    async def mint(self, wanted: TokenWanted, count: int) -> Sequence[MintedToken]:
        self.orders.append((wanted, count))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
        finally:
            self.at_once -= 1
        if self.fault is not None:
            raise self.fault
        return [self._token() for _ in range(count)]

    def refuse(self, *, is_lasting: bool = False) -> None:
        self.fault = TokenSourceError("no tokens today", is_lasting=is_lasting)

    def _token(self) -> MintedToken:
        self.made += 1
        now_ms = self.clock.now_ms()
        return MintedToken(str(self.made - 1), now_ms, now_ms + self.lifetime_ms)
