"""How is the issuer asked again and again?  Over one stream: what is written first is answered first.

An answer goes to whoever wrote the request at its place.  Were one request lost half-way, everybody after it would get
another's tokens; so a write that does not end well ends the whole stream, and with it everybody who waits.
"""

import asyncio
from collections import deque
from typing import Any

import grpc.aio

from ott_extauthz._proto.ott.issuer.v1.issuer_pb2 import MintRequest, MintStreamResponse

Call = grpc.aio.StreamStreamCall[MintRequest, MintStreamResponse]


class StreamEndedError(Exception):
    """The stream ended before the answer came; what was not answered was not minted for anybody."""


class MintStream:
    """One open stream; made anew when it has ended."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._waiting: deque[asyncio.Future[MintStreamResponse]] = deque()
        self._writing = asyncio.Lock()
        self._reading = asyncio.create_task(self._read(), name="ott mint stream")

    @property
    def is_open(self) -> bool:
        """Whether it can be written to."""
        return not self._reading.done()

    async def mint(self, request: MintRequest) -> MintStreamResponse:
        """Return the answer to one request.

        Raises:
            StreamEndedError: there will be none.
        """
        answer: asyncio.Future[MintStreamResponse] = asyncio.get_running_loop().create_future()
        async with self._writing:
            if not self.is_open:
                raise StreamEndedError
            self._waiting.append(answer)
            try:
                await self._call.write(request)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                self.end()
                raise StreamEndedError from None
            except BaseException:  # cancelled: nobody knows whether it was written
                self.end()
                raise
        return await answer

    def end(self) -> None:
        """Have whoever waits be told that the stream has ended."""
        self._call.cancel()

    async def aclose(self) -> None:
        """End the stream, and wait until everybody is told."""
        self.end()
        await asyncio.wait([self._reading])

    async def _read(self) -> None:
        try:
            while isinstance(answer := await self._next(), MintStreamResponse) and self._waiting:
                waiting = self._waiting.popleft()
                if not waiting.done():  # else whoever asked has given up; the tokens are nobody's
                    waiting.set_result(answer)
        finally:
            self.end()
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_exception(StreamEndedError())
                    waiting.exception()  # seen: one whose write has failed is told by that
            self._waiting.clear()

    async def _next(self) -> Any:  # noqa: ANN401 - gRPC has a mark of its own for the end
        try:
            return await self._call.read()
        except (grpc.aio.AioRpcError, asyncio.CancelledError):
            return grpc.aio.EOF
