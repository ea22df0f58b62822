"""How does an httpx client send a fresh token with every call?  As its ``auth``.

    client = httpx.AsyncClient(auth=OneTimeTokens(pool, {"https://wallet.api": TokenWanted(...)}))

httpx hides redirects from an ``auth`` and sends the first request's token along.  It is spent by then: the proxy
refuses it, and the call is made once more, where it led, with a token of its own.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Final

import httpx

from ott_extauthz.client.pool import TokenPool
from ott_extauthz.client.refusal import REPLAYED, TOKEN, TokenRefused, may_be_refusal, refusal_in_problem
from ott_extauthz.client.renewal import Origins, Renewal, checked, log_replayed, origin_of
from ott_extauthz.ports import TokenSourceError, TokenWanted

_WAIT_SECONDS: Final = 10.0


class OneTimeTokens(httpx.Auth):
    """Puts a fresh token on every request to a known origin, and takes any away from a request to another one.

    A call whose token the proxy refused is made once more, unless its body is a stream that cannot be sent again.
    For a synchronous client ``loop`` is the pool's event loop, running in another thread.
    """

    def __init__(
        self,
        pool: TokenPool,
        origins: Origins,
        *,
        on_replayed: Callable[[TokenRefused], None] = log_replayed,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._renewal = Renewal(pool=pool, on_replayed=on_replayed)
        self._origins = checked(origins)
        self._loop = loop

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send a request, at most twice."""
        wanted = self._wanted(request)
        if wanted is not None:
            request.headers[TOKEN] = await self._renewal.token(wanted)
        response = yield request
        if not may_be_refusal(response.status_code, response.headers):
            return
        again = self._again(response, await response.aread(), _at_once)
        if again is not None:
            again.headers[TOKEN] = await self._renewal.token(self._origins[_origin(again)])
            yield again

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send a request, at most twice, from a thread that is not the pool's."""
        wanted = self._wanted(request)
        if wanted is not None:
            request.headers[TOKEN] = self._token_from_afar(wanted)
        response = yield request
        if not may_be_refusal(response.status_code, response.headers):
            return
        again = self._again(response, response.read(), self._pool_loop().call_soon_threadsafe)
        if again is not None:
            again.headers[TOKEN] = self._token_from_afar(self._origins[_origin(again)])
            yield again

    def _wanted(self, request: httpx.Request) -> TokenWanted | None:
        request.headers.pop(TOKEN, None)
        return self._origins.get(_origin(request))

    def _again(self, response: httpx.Response, body: bytes, tell: Callable[..., object]) -> httpx.Request | None:
        """Return the request to send once more: the last one, where redirects were followed."""
        request = response.request
        wanted, refused = self._origins.get(_origin(request)), refusal_in_problem(response.headers, body)
        if wanted is None or refused is None:
            return None
        if not response.history or refused.code != REPLAYED:  # after a redirect it was ourselves who sent it before
            tell(self._renewal.refused, wanted, refused)
        return request if isinstance(request.stream, httpx.ByteStream) else None

    def _token_from_afar(self, wanted: TokenWanted) -> str:
        loop = self._pool_loop()
        coming = asyncio.run_coroutine_threadsafe(self._renewal.token(wanted), loop)
        try:
            return coming.result(_WAIT_SECONDS)
        except TimeoutError:
            coming.cancel()
            raise TokenSourceError("the pool's event loop did not answer in time", is_lasting=False) from None

    def _pool_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("a synchronous client needs `loop`, the pool's event loop")
        return self._loop


def _at_once(tell: Callable[..., object], *told: object) -> None:
    tell(*told)


def _origin(request: httpx.Request) -> str:
    return origin_of(str(request.url))
