"""How does a workload get many tokens at once?  ``ott.issuer.v1.Issuer``: decode, judge, encode.

- The caller is the certificate that TLS verified on the connection, and nothing that it says of itself.
- A refusal is a gRPC status with a typed :class:`Refusal` among its details; on a stream it is a message.
- Nothing runs longer than :data:`LONGEST_SECONDS`, whatever deadline a caller sets.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NoReturn

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status

from ott_extauthz._proto.ott.issuer.v1.issuer_pb2 import MintRequest, MintResponse, MintStreamResponse, Refusal
from ott_extauthz.issuer.batch import Batch, BatchRequest
from ott_extauthz.issuer.binding import Binding
from ott_extauthz.issuer.certificate import PresentedCertificate
from ott_extauthz.issuer.desks import CurrentDesks
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode
from ott_extauthz.issuer.observer import IssuerObserver
from ott_extauthz.issuer.tracing import NoTracing, RequestTracing
from ott_extauthz.issuer.trail import Door, IssuerTrail
from ott_extauthz.issuer.trail import Refusal as RefusalRecord
from ott_extauthz.model.trace_context import HEADER as TRACEPARENT
from ott_extauthz.model.trace_context import TraceContext, parsed
from ott_extauthz.ports import Clock
from ott_extauthz.wire.issuer_peer import presented_from

SERVICE: Final = "ott.issuer.v1.Issuer"
LONGEST_SECONDS: Final = 10.0
"""For one batch: a key that lives elsewhere may be slow, but nobody waits for ever."""

_PEER_CERTIFICATE: Final = "x509_pem_cert"
_STATUS_DETAILS: Final = "grpc-status-details-bin"
_TOO_SLOW: Final = OAuthError(OAuthErrorCode.TEMPORARILY_UNAVAILABLE, "the tokens were not signed in time", 503)
_OUR_FAULT: Final = OAuthError(OAuthErrorCode.SERVER_ERROR, "an internal fault", 500)
_STATUS: Final[Mapping[OAuthErrorCode, grpc.StatusCode]] = MappingProxyType(
    {
        OAuthErrorCode.INVALID_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
        OAuthErrorCode.INVALID_CLIENT: grpc.StatusCode.UNAUTHENTICATED,
        OAuthErrorCode.SLOW_DOWN: grpc.StatusCode.RESOURCE_EXHAUSTED,
        OAuthErrorCode.TEMPORARILY_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
        OAuthErrorCode.SERVER_ERROR: grpc.StatusCode.INTERNAL,
    }
)
"""Every other code says what this client may not have: PERMISSION_DENIED."""

_BINDINGS: Final[Mapping[int, Binding]] = MappingProxyType(
    {MintRequest.CERTIFICATE: Binding.CERTIFICATE, MintRequest.WORKLOAD: Binding.WORKLOAD}
)
_Context = grpc.aio.ServicerContext[MintRequest, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerService:
    """The ``Issuer`` service; ``leaving`` is set when streams shall end."""

    desks: CurrentDesks
    clock: Clock
    observer: IssuerObserver
    trail: IssuerTrail
    tracing: RequestTracing = field(default_factory=NoTracing)
    leaving: asyncio.Event = field(default_factory=asyncio.Event)

    async def mint(self, request: MintRequest, context: _Context) -> MintResponse:
        """Answer one request."""
        remaining: float | None = context.time_remaining()  # grpc.aio says None where no deadline was set
        answer = await self._answer(request, context, LONGEST_SECONDS if remaining is None else remaining)
        if isinstance(answer, OAuthError):
            await _abort(context, answer)
        return _response(answer)

    async def mint_stream(self, _: object, context: _Context) -> None:
        """Answer request after request; what nobody is known by ends the stream."""
        while (request := await self._next(context)) is not None:
            answer = await self._answer(request, context, LONGEST_SECONDS)
            if isinstance(answer, Batch):
                await context.write(MintStreamResponse(minted=_response(answer)))
            elif answer.error is OAuthErrorCode.INVALID_CLIENT:
                await _abort(context, answer)
            else:
                await context.write(MintStreamResponse(refused=_refusal(answer)))

    def handlers(self) -> dict[str, "grpc.RpcMethodHandler[MintRequest, Any]"]:
        """Return the method table to register."""
        return {
            "Mint": grpc.unary_unary_rpc_method_handler(
                self.mint,
                request_deserializer=_request,
                response_serializer=MintResponse.SerializeToString,
            ),
            "MintStream": grpc.stream_stream_rpc_method_handler(
                self.mint_stream,
                request_deserializer=_request,
                response_serializer=MintStreamResponse.SerializeToString,
            ),
        }

    async def _answer(self, request: MintRequest, context: _Context, seconds: float) -> Batch | OAuthError:
        trace_id = self.tracing.arrived(Door.GRPC, _trace_context(context))
        try:
            return await self._judged(request, context, trace_id, seconds)
        finally:
            self.tracing.answered()

    async def _judged(
        self, request: MintRequest, context: _Context, trace_id: str | None, seconds: float
    ) -> Batch | OAuthError:
        try:
            async with asyncio.timeout(min(seconds, LONGEST_SECONDS)):
                asked = _asked(request, context, trace_id, self.clock.now_ms())
                answer = await self.desks().batch.answer(asked)
        except TimeoutError:
            answer = _TOO_SLOW
        except Exception as error:  # noqa: BLE001 - the last resort; gRPC would show the text to the caller
            self.observer.faulted(type(error).__name__)
            answer = _OUR_FAULT
        if isinstance(answer, OAuthError):
            self.trail.refused(
                RefusalRecord(at_ms=self.clock.now_ms(), door=Door.GRPC, error=answer, trace_id=trace_id)
            )
            self.observer.refused(answer.client_id, answer.error, trace_id=trace_id)
        else:
            order = answer.order
            self.observer.issued(order.client_id, order.audience, len(answer.tokens), trace_id=trace_id)
        return answer

    async def _next(self, context: _Context) -> MintRequest | None:
        """Return the next request of a stream; None when the caller has no more, or the server leaves."""
        reading, leaving = asyncio.ensure_future(context.read()), asyncio.ensure_future(self.leaving.wait())
        try:
            await asyncio.wait({reading, leaving}, return_when=asyncio.FIRST_COMPLETED)
            found = None if leaving.done() else await reading
        finally:
            reading.cancel()
            leaving.cancel()
        return found if isinstance(found, MintRequest) else None  # gRPC has a mark of its own for the end


def status_of(error: OAuthError) -> grpc.StatusCode:
    """Return the gRPC status that a refusal goes under."""
    return _STATUS.get(error.error, grpc.StatusCode.PERMISSION_DENIED)


def _request(raw: bytes) -> MintRequest:
    """Read garbage as a request for nothing, which is refused as such; gRPC would log an error of ours."""
    try:
        return MintRequest.FromString(raw)
    except DecodeError:
        return MintRequest()


def _asked(request: MintRequest, context: _Context, trace_id: str | None, now_ms: int) -> BatchRequest:
    return BatchRequest(
        audience=request.audience,
        scopes=tuple(request.scopes),
        count=request.count,
        lifetime_ms=request.lifetime_ms,
        authorization_details=request.authorization_details,
        htm=request.htm,
        htp=request.htp,
        digest=request.digest,
        binding=_BINDINGS.get(request.binding),  # proto3 hands over any number
        certificate=certificate_of(context),
        trace_id=trace_id,
        now_ms=now_ms,
    )


def _trace_context(context: _Context) -> TraceContext | None:
    said = [value for key, value in context.invocation_metadata() or () if key == TRACEPARENT]
    return parsed(said[0]) if len(said) == 1 and isinstance(said[0], str) else None


def certificate_of(context: grpc.aio.ServicerContext[Any, Any]) -> PresentedCertificate | None:
    """Return the certificate that TLS verified on a call's connection."""
    pems = tuple(context.auth_context().get(_PEER_CERTIFICATE, ()))
    return _presented(pems[0]) if len(pems) == 1 else None


@lru_cache(maxsize=1024)
def _presented(pem: bytes) -> PresentedCertificate | None:
    try:
        return presented_from(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER))
    except ValueError:  # OpenSSL could read it and we cannot: it names nobody
        return None


def _response(batch: Batch) -> MintResponse:
    first = batch.tokens[0]
    return MintResponse(
        tokens=[token.text for token in batch.tokens],
        issued_at_ms=first.issued_at_ms,
        expires_at_ms=first.expires_at_ms,
        scopes=sorted(batch.order.scope),
    )


def _refusal(error: OAuthError) -> Refusal:
    return Refusal(error=error.error, description=error.description, retry_after_ms=error.retry_after_ms or 0)


async def _abort(context: _Context, error: OAuthError) -> NoReturn:
    code = status_of(error)
    status = Status(code=code.value[0], message=error.description)
    status.details.add().Pack(_refusal(error))
    await context.abort(code, error.description, ((_STATUS_DETAILS, status.SerializeToString()),))
