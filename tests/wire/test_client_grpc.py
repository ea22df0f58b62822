"""gRPC calls of every shape with fresh tokens, through a server that refuses as Envoy passes our refusals on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from ott_extauthz.client.grpc import one_time_tokens
from ott_extauthz.client.pool import TokenPool
from ott_extauthz.ports import TokenWanted
from tests.fakes.issuing import SetClock
from tests.fakes.token_source import SetSource

if TYPE_CHECKING:
    from ott_extauthz.client.refusal import TokenRefused

WALLET = TokenWanted(audience="wallet.api")
SHAPES = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
REPEATED = SHAPES[:2]


class Server:
    """Refuses what is in ``script`` before anything is read, then answers every shape."""

    def __init__(self) -> None:
        self.script: list[tuple[str, str]] = []
        self.seen: list[list[str]] = []
        self.channel: Any = None
        self.told: list[TokenRefused] = []

    async def admit(self, context: Any) -> None:
        self.seen.append([value for name, value in context.invocation_metadata() if name == "x-ott"])
        if self.script:
            message, header = self.script.pop(0)
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, message, (("x-ott-decision-id", header),))

    async def unary_unary(self, request: bytes, context: Any) -> bytes:
        await self.admit(context)
        return request

    async def unary_stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        await self.admit(context)
        for _ in range(3):
            yield request

    async def stream_unary(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        await self.admit(context)
        return b"".join([request async for request in requests])

    async def stream_stream(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        await self.admit(context)
        async for request in requests:
            yield request

    async def call(self, shape: str, **options: Any) -> list[bytes]:
        request = b"r" if shape.startswith("unary") else iter([b"r", b"s"])
        call = getattr(self.channel, shape)(f"/wallet/{shape}")(request, timeout=20, **options)
        if shape.endswith("_unary"):
            return [await call]
        return [message async for message in call]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as found:
        yield found


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    found = Server()
    running = grpc.aio.server()
    handlers = {shape: getattr(grpc, f"{shape}_rpc_method_handler")(getattr(found, shape)) for shape in SHAPES}
    running.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("wallet", handlers),))
    port = running.add_insecure_port("127.0.0.1:0")
    await running.start()
    source = SetSource(SetClock())
    tokens = one_time_tokens(TokenPool(source, source.clock), WALLET, on_replayed=found.told.append)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", interceptors=tokens) as found.channel:
        yield found
    await running.stop(0)


ANSWERS = {
    "unary_unary": [b"r"],
    "unary_stream": [b"r"] * 3,
    "stream_unary": [b"rs"],
    "stream_stream": [b"r", b"s"],
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_every_call_carries_one_token_of_its_own(server: Server, shape: str) -> None:
    metadata = (("x-ott", "left over"), ("x-case", "kept"))
    answers = await asyncio.gather(*(server.call(shape, metadata=metadata) for _ in range(20)))
    assert answers == [ANSWERS[shape]] * 20
    assert all(len(tokens) == 1 for tokens in server.seen)
    assert len({tokens[0] for tokens in server.seen}) == 20
    assert "left over" not in [tokens[0] for tokens in server.seen]


@pytest.mark.parametrize("code", ["TOKEN_REPLAYED", "TOKEN_EXPIRED"])
@pytest.mark.parametrize("shape", REPEATED)
async def test_a_refused_call_with_one_request_is_made_once_more(server: Server, shape: str, code: str) -> None:
    server.script = [(f"{code} decision_id=d-1", "d-1")]
    assert await server.call(shape) == ANSWERS[shape]
    assert len(server.seen) == 2
    assert server.seen[0] != server.seen[1]
    assert [refused.code for refused in server.told] == [code] * (code == "TOKEN_REPLAYED")


@pytest.mark.parametrize("shape", REPEATED)
async def test_it_is_not_made_a_third_time(server: Server, shape: str) -> None:
    server.script = [("TOKEN_EXPIRED decision_id=d-1", "d-1")] * 3
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await server.call(shape)
    assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert len(server.seen) == 2


@pytest.mark.parametrize("shape", SHAPES[2:])
async def test_what_was_streamed_is_not_sent_again(server: Server, shape: str) -> None:
    server.script = [("TOKEN_EXPIRED decision_id=d-1", "d-1")]
    with pytest.raises(grpc.aio.AioRpcError):
        await server.call(shape)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "said",
    [
        ("TOKEN_EXPIRED decision_id=d-1", "d-2"),
        ("AUTH_FAILED decision_id=d-1", "d-1"),
        ("TOKEN_EXPIRED", "d-1"),
        ("the TOKEN_EXPIRED decision_id=d-1", "d-1"),
    ],
)
@pytest.mark.parametrize("shape", REPEATED)
async def test_another_refusal_is_left_to_the_application(server: Server, shape: str, said: tuple[str, str]) -> None:
    server.script = [said]
    with pytest.raises(grpc.aio.AioRpcError):
        await server.call(shape)
    assert len(server.seen) == 1
