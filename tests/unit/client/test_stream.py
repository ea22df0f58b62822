"""An answer goes to whoever asked for it, or to nobody."""

import asyncio
from typing import Any, cast

import grpc.aio
import pytest

from ott_extauthz._proto.ott.issuer.v1.issuer_pb2 import MintRequest, MintResponse, MintStreamResponse
from ott_extauthz.client.stream import Call, MintStream, StreamEndedError


class FakeCall:
    """A stream that answers when told to."""

    def __init__(self) -> None:
        self.written: list[MintRequest] = []
        self.answers: asyncio.Queue[Any] = asyncio.Queue()
        self.gate = asyncio.Event()
        self.gate.set()
        self.write_error: Exception | None = None
        self.is_cancelled = False

    async def write(self, request: MintRequest) -> None:
        await self.gate.wait()
        if self.write_error is not None:
            raise self.write_error
        self.written.append(request)

    async def read(self) -> Any:
        found = await self.answers.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def cancel(self) -> None:
        self.is_cancelled = True
        self.answers.put_nowait(asyncio.CancelledError())


def opened() -> tuple[FakeCall, MintStream]:
    call = FakeCall()
    return call, MintStream(cast("Call", call))


def answer(name: str) -> MintStreamResponse:
    return MintStreamResponse(minted=MintResponse(tokens=[name]))


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_answers_go_to_who_asked_in_that_order() -> None:
    call, stream = opened()
    asking = [asyncio.create_task(stream.mint(MintRequest(audience=name))) for name in "abc"]
    await settled()
    assert [request.audience for request in call.written] == ["a", "b", "c"]
    for name in "abc":
        call.answers.put_nowait(answer(name))
    assert [(await one).minted.tokens[0] for one in asking] == ["a", "b", "c"]
    await stream.aclose()


async def test_the_answer_of_one_who_gave_up_goes_to_nobody() -> None:
    call, stream = opened()
    first, second = (asyncio.create_task(stream.mint(MintRequest(audience=name))) for name in "ab")
    await settled()
    first.cancel()
    await settled()
    for name in "ab":
        call.answers.put_nowait(answer(name))
    assert (await second).minted.tokens == ["b"]
    await stream.aclose()


async def test_a_write_given_up_half_way_ends_the_stream_for_all() -> None:
    """It may have been written or not: every later answer could be another's."""
    call, stream = opened()
    waiting = asyncio.create_task(stream.mint(MintRequest(audience="a")))
    await settled()
    call.gate.clear()
    writing = asyncio.create_task(stream.mint(MintRequest(audience="b")))
    await settled()
    writing.cancel()
    with pytest.raises(StreamEndedError):
        await waiting
    assert call.is_cancelled
    assert not stream.is_open


@pytest.mark.parametrize("error", [asyncio.InvalidStateError(), grpc.aio.UsageError()])
async def test_a_write_that_fails_ends_the_stream(error: Exception) -> None:
    call, stream = opened()
    call.write_error = error
    with pytest.raises((StreamEndedError, grpc.aio.UsageError)):
        await stream.mint(MintRequest())
    await settled()
    assert not stream.is_open
    with pytest.raises(StreamEndedError):
        await stream.mint(MintRequest())


@pytest.mark.parametrize("end", [grpc.aio.EOF, asyncio.CancelledError()])
async def test_who_waits_when_the_stream_ends_is_told(end: Any) -> None:
    call, stream = opened()
    asking = [asyncio.create_task(stream.mint(MintRequest())) for _ in range(3)]
    await settled()
    call.answers.put_nowait(end)
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {StreamEndedError}


async def test_an_answer_that_nobody_asked_for_ends_the_stream() -> None:
    call, stream = opened()
    call.answers.put_nowait(answer("unasked"))
    await settled()
    assert not stream.is_open
    assert call.is_cancelled
