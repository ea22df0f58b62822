"""The probe against the real server on both transports, and against servers that hang, lie, or let all through."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest
from aiohttp import web
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from grpc_health.v1 import health, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse

from ott_extauthz.demo.pki import Authority
from ott_extauthz.settings import load
from ott_extauthz.wire.authorization import SERVICE
from ott_extauthz.wire.http_server import serve_http
from ott_extauthz.wire.probe import Seen, Tls, seen_by_grpc, seen_by_http
from tests.wire.conftest import Configure, Desk, served

Handler = Callable[[CheckRequest, "grpc.aio.ServicerContext[CheckRequest, CheckResponse]"], Awaitable[CheckResponse]]


def ours(tmp_path: Path, name: str = "envoy", ca: str = "servers", server_name: str | None = "ott.auth.svc") -> Tls:
    return Tls(
        ca=tmp_path / f"{ca}.pem",
        certificate=tmp_path / f"{name}.pem",
        key=tmp_path / f"{name}-key.pem",
        server_name=server_name,
    )


async def asked(
    target: str, *, service: str = "", refuses: bool = False, tls: Tls | None = None, seconds: float = 20
) -> Seen:
    return await seen_by_grpc(target, service=service, refuses=refuses, tls=tls, seconds=seconds)


@asynccontextmanager
async def pretender(path: Path, check: Handler, status: int = HealthCheckResponse.SERVING) -> AsyncIterator[str]:
    """A server that is healthy by its own word, and answers Checks as it likes."""
    server, servicer = grpc.aio.server(), health.aio.HealthServicer()
    handler = grpc.unary_unary_rpc_method_handler(
        check, request_deserializer=CheckRequest.FromString, response_serializer=CheckResponse.SerializeToString
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Check": handler}),))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    await servicer.set("", status)
    server.add_insecure_port(f"unix:{path}/pretender.sock")
    await server.start()
    try:
        yield f"unix:{path}/pretender.sock"
    finally:
        await server.stop(0)


def answering(answer: CheckResponse) -> Handler:
    async def check(*_: object) -> CheckResponse:
        return answer

    return check


@pytest.mark.parametrize("service", ["", "liveness", SERVICE])
async def test_a_serving_server_is_fine(desk: Desk, tmp_path: Path, service: str) -> None:
    assert desk.app.server.is_serving
    assert await asked(f"unix:{tmp_path}/check.sock", service=service) == Seen(is_fine=True, detail="SERVING")


async def test_a_check_without_credentials_is_refused(desk: Desk, tmp_path: Path) -> None:
    assert desk.app.server.is_serving
    seen = await asked(f"unix:{tmp_path}/check.sock", refuses=True)
    assert seen == Seen(is_fine=True, detail="SERVING, refuses (403)")


async def test_a_draining_server_is_not_fine_but_lives(desk: Desk, tmp_path: Path) -> None:
    await desk.app.server._say(HealthCheckResponse.NOT_SERVING)
    target = f"unix:{tmp_path}/check.sock"
    assert await asked(target, refuses=True) == Seen(is_fine=False, detail="NOT_SERVING")
    assert (await asked(target, service="liveness")).is_fine


async def test_a_service_nobody_serves_is_not_fine(desk: Desk, tmp_path: Path) -> None:
    assert desk.app.server.is_serving
    seen = await asked(f"unix:{tmp_path}/check.sock", service="payments")
    assert seen == Seen(is_fine=False, detail="serves no 'payments'")


@pytest.mark.parametrize("answer", ["empty", "denied with status 0"])
async def test_a_server_that_lets_a_bare_check_through_is_found_out(tmp_path: Path, answer: str) -> None:
    """Envoy forwards both, though one of them looks like a denial."""
    response = CheckResponse()
    if answer != "empty":
        response.denied_response.status.code = 403
    async with pretender(tmp_path, answering(response)) as target:
        assert (await asked(target)).is_fine
        seen = await asked(target, refuses=True)
    assert seen == Seen(is_fine=False, detail="SERVING, LETS a Check without credentials through")


async def test_a_server_that_refuses_for_a_fault_of_its_own_is_not_fine(tmp_path: Path) -> None:
    response = CheckResponse()
    response.status.code = 14
    response.denied_response.status.code = 503
    async with pretender(tmp_path, answering(response)) as target:
        seen = await asked(target, refuses=True)
    assert seen == Seen(is_fine=False, detail="SERVING, refuses everything (503)")


async def test_a_server_that_hangs_is_given_up_on_in_time(tmp_path: Path) -> None:
    async def hang(*_: object) -> CheckResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with pretender(tmp_path, hang) as target:
        async with asyncio.timeout(20):
            seen = await asked(target, refuses=True, seconds=0.3)
    assert seen == Seen(is_fine=False, detail="no answer in time")


async def test_an_rpc_error_is_no_refusal_and_its_words_cannot_drive_a_terminal(tmp_path: Path) -> None:
    async def fail(_: CheckRequest, context: "grpc.aio.ServicerContext[CheckRequest, CheckResponse]") -> CheckResponse:
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "no\n\x1b[31mred" + "x" * 500)
        raise AssertionError

    async with pretender(tmp_path, fail) as target:
        seen = await asked(target, refuses=True)
    assert not seen.is_fine
    assert seen.detail.startswith("PERMISSION_DENIED: no [31mredxxx")
    assert len(seen.detail) < 200


async def test_nobody_there_is_not_fine(tmp_path: Path) -> None:
    seen = await asked(f"unix:{tmp_path}/nobody.sock")
    assert not seen.is_fine
    assert seen.detail.startswith("UNAVAILABLE: ")


async def test_the_environments_proxy_is_not_asked(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that answers for a dead server would keep it in rotation."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("grpc_proxy", "http://127.0.0.1:9")
    server, servicer = grpc.aio.server(), health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    await servicer.set("", HealthCheckResponse.SERVING)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    assert (await asked(f"dns:///127.0.0.1:{port}")).is_fine
    await server.stop(0)


@pytest.fixture
async def mutual(configured: Configure, tmp_path: Path, free_port: int) -> AsyncIterator[str]:
    """A Check server with mutual TLS, and in the folder who it trusts, who it is, and a caller it takes."""
    servers, clients = Authority("servers"), Authority("clients")
    servers.write(tmp_path, "servers")
    clients.write(tmp_path, "clients")
    servers.issue("ott", dns=("ott.auth.svc",), server=True).write(tmp_path, "ott")
    clients.issue("envoy", uri="spiffe://bank.example/envoy").write(tmp_path, "envoy")
    configured("auto", "")
    tls = f"{{certificate: {tmp_path}/ott.pem, key: {tmp_path}/ott-key.pem, client_ca: {tmp_path}/clients.pem}}"
    async with served(load(tmp_path / "ott.yaml", {"OTT_LISTEN__TLS": tls}), f"127.0.0.1:{free_port}"):
        yield f"dns:///127.0.0.1:{free_port}"


async def test_mutual_tls_is_asked_with_our_own_certificate(mutual: str, tmp_path: Path) -> None:
    assert await asked(mutual, refuses=True, tls=ours(tmp_path)) == Seen(is_fine=True, detail="SERVING, refuses (403)")


@pytest.mark.parametrize("wrong", ["plain", "nameless", "anonymous", "stranger"])
async def test_a_server_that_tls_does_not_prove_is_not_fine(mutual: str, tmp_path: Path, wrong: str) -> None:
    tls = {
        "plain": None,
        "nameless": ours(tmp_path, server_name=None),
        "anonymous": Tls(ca=tmp_path / "servers.pem", server_name="ott.auth.svc"),
        "stranger": ours(tmp_path, ca="clients"),
    }[wrong]
    seen = await asked(mutual, tls=tls, seconds=5)
    assert not seen.is_fine


async def test_files_that_cannot_be_used_are_told_before_anybody_is_asked(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("nothing")
    with pytest.raises(OSError, match=r"X509|PEM|certificate"):
        await asked("dns:///127.0.0.1:1", tls=Tls(ca=tmp_path / "no.pem"))


@asynccontextmanager
async def page(status: int, text: str, **headers: str) -> AsyncIterator[str]:
    async def readyz(_: web.Request) -> web.Response:
        return web.Response(status=status, text=text, headers=headers)

    app = web.Application()
    app.add_routes([web.get("/readyz", readyz)])
    runner = await serve_http(app, "127.0.0.1:0", setting="listen.admin", on_fault=lambda _: None)
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}/readyz"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "text", "seen"),
    [
        (200, "ready\n", Seen(is_fine=True, detail="200 ready")),
        (503, "not ready\nstore: down\n", Seen(is_fine=False, detail="503 not ready; store: down")),
        (204, "", Seen(is_fine=False, detail="204")),
        (200, "\x1b[2J" + "y" * 9000, Seen(is_fine=True, detail="200 [2J" + "y" * 157)),
    ],
    ids=["ready", "not ready", "another success", "long"],
)
async def test_a_page_is_fine_at_200_alone(status: int, text: str, seen: Seen) -> None:
    async with page(status, text) as url:
        assert await seen_by_http(url, tls=Tls(), seconds=20) == seen


async def test_a_redirect_is_not_followed() -> None:
    async with page(200, "ready") as there, page(302, "", Location=there) as url:
        assert await seen_by_http(url, tls=Tls(), seconds=20) == Seen(is_fine=False, detail="302")


async def test_a_page_that_nobody_serves_is_not_fine(free_port: int) -> None:
    seen = await seen_by_http(f"http://127.0.0.1:{free_port}/readyz", tls=Tls(), seconds=20)
    assert not seen.is_fine


async def test_a_page_that_hangs_is_given_up_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connected by the system, read by nobody
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/readyz"
        assert await seen_by_http(url, tls=Tls(), seconds=0.3) == Seen(is_fine=False, detail="no answer in time")
