"""How many streams may one workload hold open?  A part of all calls: an idle stream has no end of its own.

A server takes so many calls at once, and whoever has a certificate of the authority could hold them all by streams on
which nothing is ever said.  Counted by the names in a certificate: a workload gets new certificates, but no new names.
"""

import inspect
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from ott_extauthz.wire.issuer_grpc import certificate_of

_Context = grpc.aio.ServicerContext[Any, Any]
_Names = tuple[tuple[str, ...], ...]


class StreamPlaces(grpc.aio.ServerInterceptor):
    """Ends what is one stream too many of its workload, whatever the service."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: Counter[_Names] = Counter()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:  # noqa: ANN401 - grpc's own shape
        """Return the handler, which for a stream takes a place first."""
        handler = await continuation(handler_call_details)
        if handler is None or not (handler.request_streaming or handler.response_streaming):
            return handler
        serializers = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(self._placed(handler.stream_stream), **serializers)
        return grpc.unary_stream_rpc_method_handler(self._placed(handler.unary_stream), **serializers)

    def _placed(self, behaviour: Callable[[Any, _Context], Any]) -> Callable[[Any, _Context], Any]:
        async def yielding(asked: object, context: _Context) -> AsyncIterator[Any]:
            async with self._place(context):
                async for answer in behaviour(asked, context):
                    yield answer

        async def writing(asked: object, context: _Context) -> None:
            async with self._place(context):
                await behaviour(asked, context)

        return yielding if inspect.isasyncgenfunction(behaviour) else writing

    @asynccontextmanager
    async def _place(self, context: _Context) -> AsyncIterator[None]:
        names = _names(context)
        if self._held[names] >= self._most:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "this workload holds too many streams open")
        self._held[names] += 1
        try:
            yield
        finally:
            self._held[names] -= 1
            if not self._held[names]:
                del self._held[names]


def _names(context: _Context) -> _Names:
    """Return what a certificate calls its holder; one that cannot be read calls nobody anything."""
    certificate = certificate_of(context)
    return () if certificate is None else (certificate.uris, certificate.dns, (certificate.subject_dn,))
