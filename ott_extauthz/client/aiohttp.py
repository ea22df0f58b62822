"""How does an aiohttp client send a fresh token with every call?  As a middleware, which sees redirects too.

session = aiohttp.ClientSession(middlewares=[OneTimeTokens(pool, {"https://wallet.api": TokenWanted(...)})])
"""

from collections.abc import Callable, Mapping

from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from aiohttp.payload import BytesPayload

from ott_extauthz.client.pool import TokenPool
from ott_extauthz.client.refusal import TOKEN, TokenRefused, may_be_refusal, refusal_in_problem
from ott_extauthz.client.renewal import Origins, Renewal, checked, log_replayed, origin_of
from ott_extauthz.ports import TokenWanted


class OneTimeTokens:
    """Puts a fresh token on every request to a known origin, and takes any away from a request to another one.

    A call whose token the proxy refused is made once more, unless its body is a stream that cannot be sent again.
    """

    def __init__(
        self, pool: TokenPool, origins: Origins, *, on_replayed: Callable[[TokenRefused], None] = log_replayed
    ) -> None:
        self._renewal = Renewal(pool=pool, on_replayed=on_replayed)
        self._origins = checked(origins)

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send a request, at most twice."""
        wanted = self._origins.get(origin_of(str(request.url)))
        if wanted is None:
            request.headers.popall(TOKEN, None)
            return await handler(request)
        response = await self._sent(request, handler, wanted)
        refused = await _refusal(response)
        if refused is None:
            return response
        self._renewal.refused(wanted, refused)
        return await self._sent(request, handler, wanted) if _can_be_sent_again(request) else response

    async def _sent(self, request: ClientRequest, handler: ClientHandlerType, wanted: TokenWanted) -> ClientResponse:
        request.headers[TOKEN] = await self._renewal.token(wanted)
        return await handler(request)


def _can_be_sent_again(request: ClientRequest) -> bool:
    """Whether the body is held whole; a file may still be on its way when the refusal comes."""
    return request.body == b"" or isinstance(request.body, BytesPayload)


async def _refusal(response: ClientResponse) -> TokenRefused | None:
    headers: Mapping[str, str] = response.headers  # case-insensitive
    if not may_be_refusal(response.status, headers):
        return None
    return refusal_in_problem(headers, await response.read())  # kept, for whoever reads it again
