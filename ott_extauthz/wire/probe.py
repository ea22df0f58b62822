"""Is a server up, and does it refuse?  Asked from outside, as Envoy and an orchestrator ask.

- One question, one bounded wait, no retry: whoever probes asks again by itself.
- No proxy of the environment, no redirect: the answer must be that of the address itself.
- What a server says is shown only as far as it can be printed, and never at length.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from envoy.service.auth.v3.external_auth_pb2_grpc import AuthorizationStub
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ott_extauthz.reload.bounded import bounded
from ott_extauthz.wire.verified_tls import client_context, why_unreached

_OK: Final = 200
_REFUSALS: Final = range(400, 500)
_MOST_SHOWN: Final = 160
_MOST_READ: Final = 4096
_OPTIONS: Final[list[tuple[str, Any]]] = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", 64 * 1024)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """PEM files: whom we believe, who we are; ``server_name`` is in the certificate where the host is not."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of it, in a line."""

    is_fine: bool
    detail: str


async def seen_by_grpc(target: str, *, service: str, refuses: bool, tls: Tls | None, seconds: float) -> Seen:
    """Ask the health service of a gRPC target about ``service``, and where wanted for a Check without credentials.

    A refusal is one of 400 to 499: a server that answers 503 refuses everything, for want of something it needs.

    Raises:
        OSError: one of the files cannot be used.
    """
    opened = _channel(target, tls)
    try:
        async with asyncio.timeout(seconds), opened as channel:
            health = await _health(channel, service)
            if not refuses or not health.is_fine:
                return health
            answer: CheckResponse = await AuthorizationStub(channel).Check(_without_credentials())
            refusal = _refusal(answer)
            return Seen(refusal.is_fine, f"{health.detail}, {refusal.detail}")
    except TimeoutError:
        return Seen(is_fine=False, detail="no answer in time")
    except grpc.aio.AioRpcError as error:
        return Seen(is_fine=False, detail=f"{error.code().name}: {_shown(error.details() or '')}")


async def seen_by_http(url: str, *, tls: Tls, seconds: float) -> Seen:
    """GET ``url``; fine is 200.

    Raises:
        OSError: one of the files cannot be used.
    """
    context = await asyncio.to_thread(client_context, tls.ca, tls.certificate, tls.key)
    try:
        async with (
            ClientSession(
                connector=TCPConnector(ssl=context, force_close=True),
                cookie_jar=DummyCookieJar(),
                timeout=ClientTimeout(total=seconds),
                auto_decompress=False,
            ) as session,
            session.get(
                url, headers={"Accept-Encoding": "identity"}, allow_redirects=False, server_hostname=tls.server_name
            ) as response,
        ):
            text = (await response.content.read(_MOST_READ)).decode("utf-8", errors="replace")
            return Seen(response.status == _OK, f"{response.status} {_shown('; '.join(text.splitlines()))}".rstrip())
    except TimeoutError:
        return Seen(is_fine=False, detail="no answer in time")
    except (ClientError, OSError) as error:
        return Seen(is_fine=False, detail=why_unreached(error))


def _channel(target: str, tls: Tls | None) -> grpc.aio.Channel:
    if tls is None:
        return grpc.aio.insecure_channel(target, options=_OPTIONS)
    client_context(tls.ca, tls.certificate, tls.key)  # gRPC would tell of bad files by a failed handshake only
    files = [None if file is None else bounded(file) for file in (tls.ca, tls.key, tls.certificate)]
    credentials = grpc.ssl_channel_credentials(*files)
    named = [("grpc.ssl_target_name_override", tls.server_name)] if tls.server_name else []
    return grpc.aio.secure_channel(target, credentials, options=[*_OPTIONS, *named])


async def _health(channel: grpc.aio.Channel, service: str) -> Seen:
    try:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        return Seen(is_fine=False, detail=f"serves no {service!r}")
    states = health_pb2.HealthCheckResponse.ServingStatus
    known = answer.status in states.values()
    return Seen(
        answer.status == health_pb2.HealthCheckResponse.SERVING,
        states.Name(answer.status) if known else f"health {answer.status}",
    )


def _without_credentials() -> CheckRequest:
    """Return a request for a host that no policy means (RFC 6761 reserves ``.invalid``), with nothing to show."""
    request = CheckRequest()
    request.attributes.source.address.socket_address.address = "127.0.0.1"
    http = request.attributes.request.http
    http.id, http.method, http.scheme = "probe", "GET", "https"
    http.host, http.path = "probe.invalid", "/ott-extauthz-probe"
    return request


def _refusal(answer: CheckResponse) -> Seen:
    # Envoy forwards whatever has status 0, whatever else the message says.
    if answer.status.code == 0:
        return Seen(is_fine=False, detail="LETS a Check without credentials through")
    status = int(answer.denied_response.status.code)
    if status not in _REFUSALS:
        return Seen(is_fine=False, detail=f"refuses everything ({status})")
    return Seen(is_fine=True, detail=f"refuses ({status})")


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return "".join(character for character in line if character.isprintable())[:_MOST_SHOWN]
