"""The client library through a real Envoy and a real Check server: every token once, and over a new store."""

import asyncio
from collections.abc import Sequence
from secrets import token_hex

import aiohttp
import grpc
import grpc.aio
import httpx
import pytest

from ott_extauthz.client.aiohttp import OneTimeTokens as AiohttpTokens
from ott_extauthz.client.grpc import one_time_tokens
from ott_extauthz.client.httpx import OneTimeTokens as HttpxTokens
from ott_extauthz.client.opening import SystemClock
from ott_extauthz.client.pool import TokenPool
from ott_extauthz.client.refusal import TokenRefused
from ott_extauthz.ports import MintedToken, TokenWanted
from tests.e2e.conftest import rigs
from tests.e2e.forge import Forge
from tests.e2e.rig import DEBIT, VICTIM, Rig

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("rig", rigs("memory")[:1], indirect=True)]

WALLET = TokenWanted(audience="wallet.api")
CALLS = 200


class ForgeSource:
    """Mints with the rig's own issuer."""

    def __init__(self, forge: Forge) -> None:
        self.forge = forge
        self.minted = 0

    async def mint(self, wanted: TokenWanted, count: int) -> Sequence[MintedToken]:
        self.minted += count
        now_ms = SystemClock().now_ms()
        return [MintedToken(self.forge.token(aud=wanted.audience), now_ms, now_ms + 30_000) for _ in range(count)]


@pytest.fixture
def pool(rig: Rig) -> TokenPool:
    return TokenPool(ForgeSource(rig.forge), SystemClock())


def origin(rig: Rig, listener: str) -> str:
    return f"https://127.0.0.1:{rig.ports[listener]}"


def aiohttp_session(rig: Rig, listener: str, tokens: AiohttpTokens) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(ssl=rig.callers["rgs"].context, limit=50)
    return aiohttp.ClientSession(origin(rig, listener), connector=connector, middlewares=[tokens])


def headers(case: str) -> dict[str, str]:
    return {"host": "wallet.api", "x-case": case}


async def test_two_hundred_aiohttp_calls_at_once_all_pass_each_with_a_token_of_its_own(
    rig: Rig, pool: TokenPool
) -> None:
    case, replays = token_hex(8), list[TokenRefused]()
    tokens = AiohttpTokens(pool, {origin(rig, "shipped"): WALLET}, on_replayed=replays.append)
    async with aiohttp_session(rig, "shipped", tokens) as session:

        async def call() -> int:
            async with session.post(DEBIT, headers=headers(case)) as response:
                return response.status

        assert await asyncio.gather(*(call() for _ in range(CALLS))) == [200] * CALLS
    deliveries = rig.upstream.deliveries(case)
    assert len({delivery.header("x-ott-token-id") for delivery in deliveries}) == len(deliveries) == CALLS
    assert replays == []


async def test_httpx_calls_pass_each_with_a_token_of_its_own(rig: Rig, pool: TokenPool) -> None:
    case = token_hex(8)
    auth = HttpxTokens(pool, {origin(rig, "shipped"): WALLET})
    async with httpx.AsyncClient(auth=auth, verify=rig.callers["rgs"].context, timeout=30) as client:
        calls = (client.post(origin(rig, "shipped") + DEBIT, headers=headers(case)) for _ in range(20))
        assert [answer.status_code for answer in await asyncio.gather(*calls)] == [200] * 20
    assert len({delivery.header("x-ott-token-id") for delivery in rig.upstream.deliveries(case)}) == 20


async def test_grpc_calls_pass_and_one_whose_token_was_stolen_is_made_once_more(rig: Rig, pool: TokenPool) -> None:
    tls = rig.folder / "tls"
    credentials = grpc.ssl_channel_credentials(
        *((tls / name).read_bytes() for name in ("ca.pem", "rgs-key.pem", "rgs.pem"))
    )
    options = [("grpc.ssl_target_name_override", "127.0.0.1"), ("grpc.default_authority", "wallet.api")]
    replays = list[TokenRefused]()
    tokens = one_time_tokens(pool, WALLET, on_replayed=replays.append)
    target = f"127.0.0.1:{rig.ports['routes']}"
    async with grpc.aio.secure_channel(target, credentials, options=options, interceptors=tokens) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/grpc.wallet.v1.Wallet/Debit")
        answers = [call(b"hello", timeout=20) for _ in range(20)]
        assert [await answer for answer in answers] == [b"hello"] * 20
        assert replays == []

        thief = next(iter(pool._kinds.values())).shelf._kept[0].token  # who reads our memory, or our network
        assert rig.call(token=thief.text).status == 200
        assert await call(b"hello", timeout=20) == b"hello"
    assert [refused.code for refused in replays] == ["TOKEN_REPLAYED"]


async def test_a_new_store_refuses_the_pool_once_and_the_call_still_passes(rig: Rig, pool: TokenPool) -> None:
    """Memory forgets with its server: what was minted before its start is refused, and minted anew."""
    victim = rig.victim()
    tokens = await asyncio.gather(*(pool.take(WALLET) for _ in range(20)))
    await asyncio.sleep(0)
    assert pool.ready(WALLET)
    victim.kill()
    await asyncio.to_thread(rig.victim)
    assert rig.call(listener=VICTIM, token=tokens[0].text).reply.code == "TOKEN_EXPIRED", "of a new store"

    middleware = AiohttpTokens(pool, {origin(rig, VICTIM): WALLET})
    async with aiohttp_session(rig, VICTIM, middleware) as session:
        cases = [token_hex(8) for _ in range(3)]
        for case in cases:
            async with session.post(DEBIT, headers=headers(case)) as response:
                assert response.status == 200, await response.text()
            assert len(rig.upstream.deliveries(case)) == 1
    assert len(rig.access_log(cases[-1])) == 1, "the first refusal emptied the pool: the last call met none"
