"""How does a gRPC client send a fresh token with every call?  As interceptors, one for each shape of a call.

    channel = grpc.aio.secure_channel(target, credentials, interceptors=one_time_tokens(pool, wanted))

A call with one request is made once more when the proxy refused its token; one that streams requests is not, since
what was streamed is gone.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from ott_extauthz.client.pool import TokenPool
from ott_extauthz.client.refusal import DECISION_ID, TOKEN, TokenRefused, refusal_in_grpc
from ott_extauthz.client.renewal import Renewal, log_replayed
from ott_extauthz.ports import TokenWanted

_Continuation = Callable[[grpc.aio.ClientCallDetails, Any], Awaitable[Any]]


def one_time_tokens(
    pool: TokenPool, wanted: TokenWanted, *, on_replayed: Callable[[TokenRefused], None] = log_replayed
) -> list[grpc.aio.ClientInterceptor]:
    """Return the interceptors for a channel whose every call is for the audience of ``wanted``."""
    stamp = _Stamp(Renewal(pool=pool, on_replayed=on_replayed), wanted)
    return [_UnaryUnary(stamp), _UnaryStream(stamp), _StreamUnary(stamp), _StreamStream(stamp)]


class _Stamp:
    """Puts tokens on calls, and says whether one is worth another."""

    def __init__(self, renewal: Renewal, wanted: TokenWanted) -> None:
        self._renewal = renewal
        self._wanted = wanted

    async def on(self, details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        kept = [(name, value) for name, value in details.metadata or () if name != TOKEN]
        token = await self._renewal.token(self._wanted)
        return grpc.aio.ClientCallDetails(
            details.method,
            details.timeout,
            grpc.aio.Metadata(*kept, (TOKEN, token)),
            details.credentials,
            details.wait_for_ready,
        )

    def is_worth_another(self, code: grpc.StatusCode, message: str | None, *metadata: Any) -> bool:  # noqa: ANN401 - grpc's
        if code is not grpc.StatusCode.UNAUTHENTICATED:
            return False
        # Envoy answers with headers alone, which gRPC shows as trailing metadata.
        ids = [value for part in metadata for name, value in part or () if name == DECISION_ID]
        refused = refusal_in_grpc(message, str(ids[0])) if len(ids) == 1 else None
        if refused is None:
            return False
        self._renewal.refused(self._wanted, refused)
        return True


class _UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, stamp: _Stamp) -> None:
        self._stamp = stamp

    async def intercept_unary_unary(
        self, continuation: _Continuation, client_call_details: grpc.aio.ClientCallDetails, request: object
    ) -> Any:  # noqa: ANN401 - grpc's own shape
        call = await continuation(await self._stamp.on(client_call_details), request)
        said = (await call.code(), await call.details(), await call.initial_metadata(), await call.trailing_metadata())
        if not self._stamp.is_worth_another(*said):
            return call
        return await continuation(await self._stamp.on(client_call_details), request)


class _UnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    """Waits for the first message, to know whether the proxy let the call through."""

    def __init__(self, stamp: _Stamp) -> None:
        self._stamp = stamp

    async def intercept_unary_stream(
        self, continuation: _Continuation, client_call_details: grpc.aio.ClientCallDetails, request: object
    ) -> Any:  # noqa: ANN401 - grpc's own shape
        call = await continuation(await self._stamp.on(client_call_details), request)
        try:
            return _messages(call, await call.read())
        except grpc.aio.AioRpcError as error:
            said = (error.code(), error.details(), error.initial_metadata(), error.trailing_metadata())
            if not self._stamp.is_worth_another(*said):
                raise
        return await continuation(await self._stamp.on(client_call_details), request)


class _StreamUnary(grpc.aio.StreamUnaryClientInterceptor):
    def __init__(self, stamp: _Stamp) -> None:
        self._stamp = stamp

    async def intercept_stream_unary(
        self, continuation: _Continuation, client_call_details: grpc.aio.ClientCallDetails, request_iterator: object
    ) -> Any:  # noqa: ANN401 - grpc's own shape
        return await continuation(await self._stamp.on(client_call_details), request_iterator)


class _StreamStream(grpc.aio.StreamStreamClientInterceptor):
    def __init__(self, stamp: _Stamp) -> None:
        self._stamp = stamp

    async def intercept_stream_stream(
        self, continuation: _Continuation, client_call_details: grpc.aio.ClientCallDetails, request_iterator: object
    ) -> Any:  # noqa: ANN401 - grpc's own shape
        return await continuation(await self._stamp.on(client_call_details), request_iterator)


async def _messages(call: Any, first: object) -> AsyncIterator[Any]:  # noqa: ANN401 - grpc's own shape
    message = first
    while message is not grpc.aio.EOF:
        yield message
        message = await call.read()
