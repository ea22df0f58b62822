"""How is the issuer asked for tokens?  ``ott.issuer.v1.Issuer`` over mutual TLS, with files that rotate.

- Kinds that are kept are refilled over one stream; a token for one request is asked for by a call of its own.
- Tokens are bound to the certificate of the connection, or to the workload that it names.  New files make a new
  channel, and whoever keeps tokens is told (``on_rotated``) that those of the old certificate are worthless.
- Files in the middle of a rotation are left alone: the channel that works stays, and they are looked at again.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

import grpc
import grpc.aio
from google.rpc.status_pb2 import Status

from ott_extauthz._proto.ott.issuer.v1.issuer_pb2 import MintRequest, MintResponse, MintStreamResponse, Refusal
from ott_extauthz.client.identity import Identity, IdentityError, IdentityFiles
from ott_extauthz.client.stream import MintStream, StreamEndedError
from ott_extauthz.ports import MintedToken, TokenSourceError, TokenWanted

MINT: Final = "/ott.issuer.v1.Issuer/Mint"
STREAM: Final = "/ott.issuer.v1.Issuer/MintStream"
LOOK_SECONDS: Final = 1.0
_TIMEOUT_SECONDS: Final = 5.0
_STATUS_DETAILS: Final = "grpc-status-details-bin"
_LASTING: Final = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
_PASSING: Final = frozenset({"slow_down", "temporarily_unavailable", "server_error"})
_OPTIONS: Final = (
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),  # the pool has a pause of its own; gRPC's would outlast an outage
)
_LOG: Final = logging.getLogger("ott_extauthz.client")


class GrpcTokenSource:
    """Asks an issuer at ``host:port`` or ``unix:///path``; for one event loop.

    ``server_name`` is the name in the issuer's certificate, where it is not the host of the address.
    ``workload_bound`` asks for tokens that are bound to our SPIFFE ID alone: for a mesh that calls with a certificate
    that is not in ``files``, and only where the issuer allows it.
    """

    def __init__(
        self,
        address: str,
        files: IdentityFiles,
        *,
        server_name: str | None = None,
        workload_bound: bool = False,
        timeout: float = _TIMEOUT_SECONDS,
    ) -> None:
        """Read the files; nothing is sent yet.

        Raises:
            IdentityError: they cannot be used.
        """
        self._address = address.replace("unix://", "unix:", 1)
        self._files = files
        self._server_name = server_name
        self._binding = MintRequest.WORKLOAD if workload_bound else MintRequest.CERTIFICATE
        self._timeout = timeout
        self.on_rotated: Callable[[], None] = lambda: None
        self._identity = files.read()
        self._channel = self._new_channel(self._identity)
        self._stream: MintStream | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    async def mint(self, wanted: TokenWanted, count: int) -> Sequence[MintedToken]:
        """Return ``count`` fresh tokens, bound to the certificate that the files hold now, or to its workload.

        Raises:
            TokenSourceError: the issuer refused, or could not be asked.
        """
        self.look()
        request = _asked(wanted, count, self._binding)
        try:
            async with asyncio.timeout(self._timeout):
                answer = await (self._once(request) if wanted.is_for_one_request else self._refill(request))
        except grpc.aio.AioRpcError as error:
            raise _told(error) from None
        except TimeoutError:
            if self._stream is not None:  # whatever holds it up would hold up the next one too
                self._stream.end()
            raise TokenSourceError("the issuer did not answer in time", is_lasting=False) from None
        return [MintedToken(text, answer.issued_at_ms, answer.expires_at_ms) for text in answer.tokens]

    async def _once(self, request: MintRequest) -> MintResponse:
        call: grpc.aio.UnaryUnaryMultiCallable[MintRequest, MintResponse] = self._channel.unary_unary(
            MINT, request_serializer=MintRequest.SerializeToString, response_deserializer=MintResponse.FromString
        )
        return await call(request, timeout=self._timeout)

    async def _refill(self, request: MintRequest) -> MintResponse:
        """Ask over the stream; where it has ended, ask by a call of its own, which also says why."""
        if self._stream is None or not self._stream.is_open:
            self._stream = self._new_stream()
        try:
            answer = await self._stream.mint(request)
        except StreamEndedError:
            return await self._once(request)
        if answer.HasField("refused"):
            raise _refused(answer.refused)
        return answer.minted

    def look(self) -> None:
        """Take up new files, where there are any."""
        try:
            identity = self._files.read()
        except IdentityError as error:
            _LOG.warning("the certificate files are left alone: %s", error)
            return
        if identity == self._identity:
            return
        old, self._identity, self._channel = self._channel, identity, self._new_channel(identity)
        if self._stream is not None:
            self._stream.end()  # whoever waits asks again, as who we are now
        closing = asyncio.ensure_future(old.close(self._timeout))
        self._leaving.add(closing)
        closing.add_done_callback(self._leaving.discard)
        self.on_rotated()

    async def follow(self, *, every: float = LOOK_SECONDS) -> None:
        """Look for new files until cancelled, so that kept tokens do not outlive their certificate unnoticed."""
        while True:
            await asyncio.sleep(every)
            self.look()

    async def aclose(self) -> None:
        """Close every channel."""
        if self._stream is not None:
            await self._stream.aclose()
        await asyncio.gather(self._channel.close(), *self._leaving)

    def _new_stream(self) -> MintStream:
        call: grpc.aio.StreamStreamMultiCallable[MintRequest, MintStreamResponse] = self._channel.stream_stream(
            STREAM,
            request_serializer=MintRequest.SerializeToString,
            response_deserializer=MintStreamResponse.FromString,
        )
        return MintStream(call())

    def _new_channel(self, identity: Identity) -> grpc.aio.Channel:
        credentials = grpc.ssl_channel_credentials(identity.ca, identity.key, identity.certificate)
        named = () if self._server_name is None else (("grpc.ssl_target_name_override", self._server_name),)
        # A pool of subchannels of its own: gRPC would share a connection, and with it the old certificate.
        options = [*_OPTIONS, *named, ("grpc.use_local_subchannel_pool", 1)]
        return grpc.aio.secure_channel(self._address, credentials, options=options)


def _asked(wanted: TokenWanted, count: int, binding: MintRequest.Binding) -> MintRequest:
    if wanted.scope is not None and not wanted.scope:
        raise TokenSourceError("a token without scope cannot be asked for; None asks for all", is_lasting=True)
    return MintRequest(
        audience=wanted.audience,
        scopes=sorted(wanted.scope or ()),
        count=count,
        htm=wanted.htm,
        htp=wanted.htp,
        digest=wanted.digest,
        binding=binding,
    )


def _told(error: grpc.aio.AioRpcError) -> TokenSourceError:
    """Say what the issuer said; gRPC's own texts, of connections, name addresses and no secrets."""
    refusal = _refusal(error)
    if refusal is not None:
        return _refused(refusal)
    said = f"the issuer minted nothing: {error.code().name}: {error.details()}"
    return TokenSourceError(said, is_lasting=error.code() in _LASTING)


def _refused(refusal: Refusal) -> TokenSourceError:
    said = f"the issuer minted nothing: {refusal.error}: {refusal.description}"
    return TokenSourceError(said, is_lasting=refusal.error not in _PASSING)


def _refusal(error: grpc.aio.AioRpcError) -> Refusal | None:
    for name, value in error.trailing_metadata() or ():
        if name == _STATUS_DETAILS and isinstance(value, bytes):
            refusal = Refusal()
            for detail in Status.FromString(value).details:
                if detail.Unpack(refusal):
                    return refusal
    return None
