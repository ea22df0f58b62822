"""Who calls while servers are restarted?  Clients over mTLS that present each one-time token a second time.

Some tokens are presented twice at the same moment, most again within a few seconds, so that the second presentation
meets another server, or one that has just been started.
"""

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp import web

from tests.chaos.dice import Dice
from tests.e2e.forge import Forge

TARGET: Final = "/v1/wallets/w-17/debit"
CONNECTIONS: Final = 32
MOST_IN_FLIGHT: Final = 400
"""Beyond this no more calls begin: a fault must not turn into a flood."""

PATIENCE: Final = 20.0
SAME_MOMENT: Final = 25
"""Of a hundred tokens, so many are presented twice at once."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call; ``token`` counts the tokens, ``status`` 0 is no answer at all, ``said`` the reason or what broke."""

    token: int
    is_first: bool
    start: float
    seconds: float
    status: int
    said: str


class Callers:
    """Everybody who calls the gateway; ``rate`` is of calls a second, half of them with a fresh token."""

    def __init__(self, *, port: int, context: ssl.SSLContext, forge: Forge, rate: float, second_within: float) -> None:
        self.calls: list[Call] = []
        self.held_back = 0
        self._url = f"https://127.0.0.1:{port}{TARGET}"
        self._context, self._forge, self._rate = context, forge, rate / 2
        self._second_within, self._dice = second_within, Dice(1)
        self._tokens = 0
        self._under_way: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def calling(self) -> AsyncIterator[None]:
        """Call at the rate until the block ends, then wait for every second presentation and every answer."""
        connector = aiohttp.TCPConnector(limit=CONNECTIONS, ssl=self._context)
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            pace = asyncio.create_task(self._keep_pace(session))
            try:
                yield
            finally:
                pace.cancel()
                await asyncio.gather(pace, return_exceptions=True)
                if self._under_way:
                    await asyncio.wait(self._under_way)

    async def _keep_pace(self, session: aiohttp.ClientSession) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for number in range(1 << 30):
            await asyncio.sleep(begun + number / self._rate - loop.time())
            if len(self._under_way) > MOST_IN_FLIGHT + self._rate * self._second_within:
                self.held_back += 1
                continue
            task = asyncio.create_task(self._use(session))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _use(self, session: aiohttp.ClientSession) -> None:
        self._tokens += 1
        number, token = self._tokens, self._forge.token()
        if self._dice.below(100) < SAME_MOMENT:
            await asyncio.gather(*(self._call(session, number, token, is_first=True) for _ in range(2)))
            return
        await self._call(session, number, token, is_first=True)
        await asyncio.sleep(self._dice.between(0, self._second_within))
        await self._call(session, number, token, is_first=False)

    async def _call(self, session: aiohttp.ClientSession, number: int, token: str, *, is_first: bool) -> None:
        start, begun = asyncio.get_running_loop().time(), time.perf_counter()
        try:
            async with session.post(self._url, headers={"host": "wallet.api", "x-ott": token}) as answer:
                await answer.read()
            status, said = answer.status, answer.headers.get("x-ott-reason", "")
        except (aiohttp.ClientError, TimeoutError) as error:
            status, said = 0, type(error).__name__
        seconds = time.perf_counter() - begun
        self.calls.append(Call(number, is_first, start, seconds, status, said))


class Deliveries:
    """The service behind the gateway: counts what reaches it, by token."""

    def __init__(self) -> None:
        self.by_token: Counter[str] = Counter()
        self.port = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Deliveries"]:
        app = web.Application()
        app.router.add_route("*", "/{any:.*}", self._take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        if "x-ott-token-id" in request.headers:  # a public route has none
            self.by_token[request.headers["x-ott-token-id"]] += 1
        return web.Response(text="delivered\n")
