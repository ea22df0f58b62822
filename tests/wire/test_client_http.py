"""aiohttp and httpx with fresh tokens: one for each request, one more when the proxy refused, none for strangers."""

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import pytest

from ott_extauthz.client.aiohttp import OneTimeTokens as AiohttpTokens
from ott_extauthz.client.httpx import OneTimeTokens as HttpxTokens
from ott_extauthz.client.pool import TokenPool
from ott_extauthz.ports import TokenSourceError, TokenWanted
from tests.fakes.issuing import SetClock
from tests.fakes.one_use_proxy import OneUseProxy
from tests.fakes.token_source import SetSource

if TYPE_CHECKING:
    from ott_extauthz.client.refusal import TokenRefused

WALLET = TokenWanted(audience="wallet.api")
CLIENTS = ("aiohttp", "httpx", "httpx in a thread")


@pytest.fixture
def source() -> SetSource:
    return SetSource(SetClock())


@pytest.fixture
def pool(source: SetSource) -> TokenPool:
    return TokenPool(source, source.clock)


@pytest.fixture
async def proxy() -> AsyncIterator[OneUseProxy]:
    async with OneUseProxy().running() as found:
        yield found


class Caller:
    """The same calls by each kind of client; ``data`` is bytes, or a function that makes a stream."""

    def __init__(self, kind: str, pool: TokenPool, proxy: OneUseProxy) -> None:
        self.kind = kind
        self.pool = pool
        self.proxy = proxy
        self.told: list[TokenRefused] = []
        self.options: dict[str, Any] = {"on_replayed": self.told.append}

    async def call(
        self, data: bytes | Callable[[], Any] = b"", origin: str | None = None, **more: Any
    ) -> tuple[int, str]:
        origins = {self.proxy.origin: WALLET} if origin is None else {origin: WALLET}
        url = self.proxy.origin + "/debit"
        body = data() if callable(data) else data
        if self.kind == "aiohttp":
            tokens = AiohttpTokens(self.pool, origins, **self.options)
            async with (
                aiohttp.ClientSession(middlewares=[tokens]) as session,
                session.post(url, data=body or None, **more) as response,
            ):
                return response.status, await response.text()
        auth = HttpxTokens(self.pool, origins, loop=asyncio.get_running_loop(), **self.options)
        if self.kind == "httpx":
            async with httpx.AsyncClient(auth=auth, follow_redirects=True) as client:
                found = await client.post(url, content=body or None, **more)
        else:
            found = await asyncio.to_thread(self._in_thread, auth, url, body, more)
        return found.status_code, found.text

    def _in_thread(self, auth: httpx.Auth, url: str, body: Any, more: dict[str, Any]) -> httpx.Response:
        with httpx.Client(auth=auth, follow_redirects=True) as client:
            return client.post(url, content=body or None, **more)


@pytest.fixture(params=CLIENTS)
def caller(request: pytest.FixtureRequest, pool: TokenPool, proxy: OneUseProxy) -> Caller:
    return Caller(request.param, pool, proxy)


async def test_every_call_carries_a_token_of_its_own(caller: Caller, proxy: OneUseProxy) -> None:
    answers = await asyncio.gather(*(caller.call(b"x") for _ in range(30)))
    assert answers == [(200, "delivered")] * 30
    assert len(set(proxy.tokens)) == 30
    assert None not in proxy.tokens


async def test_a_token_that_somebody_used_before_us_is_told_and_the_call_made_once_more(
    caller: Caller, proxy: OneUseProxy
) -> None:
    proxy.spent.add("0")
    assert await caller.call(b"body") == (200, "delivered")
    assert proxy.tokens == ["0", "1"]
    assert {body for *_, body in proxy.seen} == {b"body"}
    assert [refused.code for refused in caller.told] == ["TOKEN_REPLAYED"]


async def test_an_old_token_or_a_new_store_empties_the_pool(
    caller: Caller, proxy: OneUseProxy, pool: TokenPool
) -> None:
    await asyncio.gather(*(pool.take(WALLET) for _ in range(20)))
    kept = pool.ready(WALLET)
    assert kept
    proxy.script = ["TOKEN_EXPIRED"]
    assert (await caller.call())[0] == 200
    first, second = (int(token or "") for token in proxy.tokens)
    assert second >= first + kept, "a token from before the new store was sent"
    assert caller.told == []


async def test_a_call_is_made_once_more_and_never_a_third_time(caller: Caller, proxy: OneUseProxy) -> None:
    proxy.script = ["TOKEN_REPLAYED"] * 5
    status, body = await caller.call()
    assert status == 401
    assert "TOKEN_REPLAYED" in body
    assert len(proxy.seen) == 2


@pytest.mark.parametrize("code", ["AUTH_FAILED", "TOKEN_REVOKED", "SCOPE_DENIED", "UNAVAILABLE", "token_replayed", ""])
async def test_another_refusal_is_left_to_the_application(caller: Caller, proxy: OneUseProxy, code: str) -> None:
    proxy.script = [code]
    assert (await caller.call())[0] == 401
    assert len(proxy.seen) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"decision_header": None},
        {"decision_header": "d-2"},
        {"content_type": "application/json"},
        {"content_type": "text/html"},
        {"padding": "x" * 5000},
    ],
)
async def test_what_is_not_surely_the_proxys_refusal_is_not_repeated(
    caller: Caller, proxy: OneUseProxy, change: dict[str, Any]
) -> None:
    for name, value in change.items():
        setattr(proxy, name, value)
    proxy.script = ["TOKEN_REPLAYED"]
    assert (await caller.call())[0] == 401
    assert len(proxy.seen) == 1


async def stream() -> AsyncIterator[bytes]:
    yield b"one"
    yield b"two"


@pytest.mark.parametrize("data", [stream, lambda: io.BytesIO(b"a file")])
async def test_a_body_that_is_a_stream_is_not_sent_again(
    pool: TokenPool, proxy: OneUseProxy, data: Callable[[], Any]
) -> None:
    kinds = ("aiohttp", "httpx") if data is stream else ("aiohttp",)
    for count, kind in enumerate(kinds, start=1):
        proxy.script = ["TOKEN_REPLAYED"]
        caller = Caller(kind, pool, proxy)
        assert (await caller.call(data))[0] == 401
        assert len(proxy.seen) == count
        assert caller.told, "told, though not repeated"


async def test_a_redirect_is_followed_with_a_token_of_its_own(caller: Caller, proxy: OneUseProxy) -> None:
    proxy.redirect = "/moved"
    assert await caller.call(b"body") == (200, "delivered")
    moved = [token for _, path, token, _ in proxy.seen if path == "/moved"]
    assert moved[-1] != proxy.tokens[0]
    assert caller.told == [], "an alarm about ourselves"
    if caller.kind == "aiohttp":  # httpx hides redirects: the spent token goes along once, and is refused
        assert proxy.tokens == ["0", "1"]


async def test_a_redirect_to_a_stranger_takes_no_fresh_token_along(caller: Caller, proxy: OneUseProxy) -> None:
    async with OneUseProxy().running() as stranger:
        proxy.redirect = stranger.origin + "/moved"
        stranger.script = ["TOKEN_REPLAYED"]
        await caller.call(b"body")
        assert len(stranger.seen) == 1
        assert stranger.tokens == [None] if caller.kind == "aiohttp" else stranger.tokens[0] in proxy.spent


async def test_an_origin_that_is_not_listed_gets_no_token(
    caller: Caller, proxy: OneUseProxy, source: SetSource
) -> None:
    await caller.call(origin="https://wallet.api", headers={"x-ott": "left over"})
    assert proxy.tokens == [None]
    assert source.orders == []


async def test_a_token_that_an_application_sets_itself_is_replaced(caller: Caller, proxy: OneUseProxy) -> None:
    await caller.call(headers={"X-OTT": "left over"})
    assert proxy.tokens == ["0"]


async def test_without_a_token_nothing_is_sent(caller: Caller, proxy: OneUseProxy, source: SetSource) -> None:
    source.refuse()
    with pytest.raises(TokenSourceError):
        await caller.call()
    assert proxy.seen == []


async def test_a_replay_is_logged_by_its_decision_and_without_the_token(
    caller: Caller, proxy: OneUseProxy, source: SetSource, caplog: pytest.LogCaptureFixture
) -> None:
    source.made = 777_000
    proxy.spent.add("777000")
    caller.options = {}
    with caplog.at_level(logging.DEBUG):
        await caller.call()
    assert "decision d-1" in caplog.text
    assert "777000" not in caplog.text


@pytest.mark.parametrize(
    "origin", ["wallet.api", "https://wallet.api/", "https://wallet.api:443", "HTTPS://wallet.api"]
)
@pytest.mark.parametrize("tokens", [AiohttpTokens, HttpxTokens])
def test_an_origin_that_no_call_would_match_is_refused(pool: TokenPool, tokens: Any, origin: str) -> None:
    with pytest.raises(ValueError, match="not an origin"):
        tokens(pool, {origin: WALLET})


def test_a_synchronous_client_needs_the_pools_loop(pool: TokenPool) -> None:
    tokens = HttpxTokens(pool, {"http://127.0.0.1:1": WALLET})
    with httpx.Client(auth=tokens) as client, pytest.raises(RuntimeError, match="loop"):
        client.get("http://127.0.0.1:1/")
