"""The served Check API: real gRPC on both transports, with everything behind it but Envoy."""

import asyncio
import json
import stat
from pathlib import Path
from types import SimpleNamespace

import grpc.aio
import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from ott_extauthz.demo.pki import Authority
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.settings import load
from ott_extauthz.wire import check_server
from ott_extauthz.wire.listening import ListenError
from tests.wire.conftest import Configure, Desk, served

CHECK = "/envoy.service.auth.v3.Authorization/Check"


def code(response: CheckResponse) -> str:
    return str(json.loads(response.denied_response.body)["code"])


async def test_a_token_gets_through_once(desk: Desk) -> None:
    token = desk.token()
    first = await desk.check(desk.request(("x-ott", token)))
    assert first.status.code == 0
    assert first.HasField("ok_response")
    second = await desk.check(desk.request(("x-ott", token)))
    assert second.status.code == 16
    assert second.denied_response.status.code == 401
    assert code(second) == "TOKEN_REPLAYED"


async def test_two_hundred_concurrent_uses_have_one_winner(desk: Desk) -> None:
    request = desk.request(("x-ott", desk.token()))
    responses = await asyncio.gather(*(desk.check(request) for _ in range(200)))
    assert sum(response.status.code == 0 for response in responses) == 1


@pytest.mark.parametrize("raw", [b"", b"\xff\xff\xff\xff", b"\x0a\x03abc", b"\x0a\x06\x0a\x04\x12\x02\xff\xfe"])
async def test_bytes_that_are_no_check_request_are_refused_by_a_message(desk: Desk, raw: bytes) -> None:
    """An RPC error would be an allow under failure_mode_allow."""
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, CheckResponse] = desk.channel.unary_unary(
        CHECK, response_deserializer=CheckResponse.FromString
    )
    response = await call(raw, timeout=5)
    assert response.denied_response.status.code == 400
    assert code(response) == "MALFORMED_REQUEST"


async def test_a_broken_checker_still_answers_with_a_refusal(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret text")

    monkeypatch.setattr("ott_extauthz.check.checker.Checker.check", broken)
    response = await desk.check(desk.request(("x-ott", desk.token())))
    assert response.status.code != 0
    assert response.denied_response.status.code == 503
    assert "secret" not in str(response)


async def test_a_broken_decoder_still_answers_with_a_refusal(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("ott_extauthz.wire.authorization.facts_from", broken)
    response = await desk.check(desk.request(("x-ott", desk.token())))
    assert code(response) == "MALFORMED_REQUEST"


async def test_health_and_reflection_are_served(desk: Desk) -> None:
    health = health_pb2_grpc.HealthStub(desk.channel)
    for service in ("", "envoy.service.auth.v3.Authorization", "liveness"):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    stub = reflection_pb2_grpc.ServerReflectionStub(desk.channel)
    call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=10)
    names = {service.name for service in (await call.read()).list_services_response.service}
    call.cancel()
    assert "envoy.service.auth.v3.Authorization" in names


async def test_draining_says_not_serving_first_and_lets_a_running_check_finish(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_waiting, may_go = asyncio.Event(), asyncio.Event()

    async def wait_as_told(_: float) -> None:
        is_waiting.set()
        await may_go.wait()

    monkeypatch.setattr(check_server, "asyncio", SimpleNamespace(sleep=wait_as_told))
    health = health_pb2_grpc.HealthStub(desk.channel)
    leaving = asyncio.create_task(desk.app.server.leave())
    await is_waiting.wait()
    answer = await health.Check(health_pb2.HealthCheckRequest(service=""), timeout=5)
    assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
    alive = await health.Check(health_pb2.HealthCheckRequest(service="liveness"), timeout=5)
    assert alive.status == health_pb2.HealthCheckResponse.SERVING
    assert (await desk.check(desk.request(("x-ott", desk.token())))).status.code == 0
    may_go.set()
    await leaving
    assert not (await desk.app.readiness())[0]
    with pytest.raises(grpc.aio.AioRpcError):
        await desk.check(desk.request(), timeout=1)


async def test_the_socket_is_not_for_everybody(desk: Desk, tmp_path: Path) -> None:
    assert desk.app.server.is_serving
    mode = (tmp_path / "check.sock").stat().st_mode
    assert stat.S_IMODE(mode) == 0o660


async def test_every_decision_is_a_line_of_the_audit_before_it_is_answered(desk: Desk, tmp_path: Path) -> None:
    token = desk.token()
    response = await desk.check(desk.request(("x-ott", token), path="/v1/wallets/7/debit?pin=1234"))
    (file,) = (tmp_path / "audit").iterdir()
    line = json.loads(file.read_text())
    assert line["decision_id"] == response.dynamic_metadata.fields["decision_id"].string_value
    assert (line["outcome"], line["token_state"], line["path"]) == ("allow", "spent", "/v1/wallets/7/debit")
    assert "1234" not in file.read_text()
    assert token.split(".")[2] not in file.read_text()


@pytest.mark.parametrize("transport", ["native", "grpcio"])
async def test_an_address_in_use_is_a_clear_error(configured: Configure, transport: str) -> None:
    settings = configured(transport, "")
    async with served(settings, "127.0.0.1:0"):
        with pytest.raises(ListenError, match=r"listen\.check"):
            async with served(settings, "unix:///nonexistent/folder/check.sock"):
                pass


@pytest.mark.parametrize("transport", ["native", "grpcio"])
async def test_a_stale_socket_is_replaced_and_any_other_file_is_not(
    configured: Configure, tmp_path: Path, transport: str
) -> None:
    settings = configured(transport, "")
    (tmp_path / "precious").write_text("data")
    with pytest.raises(ListenError, match="not a socket"):
        async with served(settings, f"unix://{tmp_path}/precious"):
            pass
    assert (tmp_path / "precious").read_text() == "data"
    address = f"unix://{tmp_path}/s"
    async with served(settings, address):
        pass
    async with served(settings, address) as app:
        assert app.server.is_serving


@pytest.mark.parametrize("broken", ["server.pem", "server-key.pem", "clients.pem"])
@pytest.mark.parametrize("content", [None, "", "no PEM", "another"])
async def test_tls_files_that_do_not_go_together_do_not_start(
    configured: Configure, tmp_path: Path, broken: str, content: str | None
) -> None:
    authority = Authority("one")
    _write(authority, tmp_path, "server")
    authority.write(tmp_path, "clients")
    configured("grpcio", "")
    tls = {"certificate": "server.pem", "key": "server-key.pem", "client_ca": "clients.pem"}
    settings = load(tmp_path / "ott.yaml", {"OTT_LISTEN__TLS": json.dumps(tls)})
    if content == "another":
        if broken == "clients.pem":
            return  # any certificate will do as an authority
        _write(Authority("two"), tmp_path, "other")
        (tmp_path / broken).write_bytes((tmp_path / broken.replace("server", "other")).read_bytes())
    elif content is None:
        (tmp_path / broken).unlink()
    else:
        (tmp_path / broken).write_text(content)
    with pytest.raises((ListenError, DocumentError), match=r"listen\.tls|server-key\.pem"):
        async with served(settings, "127.0.0.1:0"):
            pass


def _write(authority: Authority, folder: Path, name: str) -> None:
    for stale in (folder / f"{name}.pem", folder / f"{name}-key.pem"):
        stale.unlink(missing_ok=True)
    authority.issue(name, dns=("localhost",), ips=("127.0.0.1",), server=True).write(folder, name)


async def _health_over_tls(port: int, ca: bytes, client: tuple[bytes, bytes] | None) -> int:
    key, certificate = client or (None, None)
    credentials = grpc.ssl_channel_credentials(ca, key, certificate)
    async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=""), timeout=5)
        return int(answer.status)


async def test_mtls_takes_only_callers_with_a_certificate_and_follows_rotation(
    configured: Configure, tmp_path: Path, free_port: int
) -> None:
    old, new, clients = Authority("old"), Authority("new"), Authority("clients")
    _write(old, tmp_path, "server")
    clients.write(tmp_path, "clients")
    caller = clients.issue("envoy", uri="spiffe://bank.example/envoy")
    stranger = Authority("stranger").issue("envoy", uri="spiffe://bank.example/envoy")
    tls = f"{{certificate: {tmp_path}/server.pem, key: {tmp_path}/server-key.pem, client_ca: {tmp_path}/clients.pem}}"
    configured("auto", "")
    settings = load(tmp_path / "ott.yaml", {"OTT_LISTEN__TLS": tls})
    async with served(settings, f"127.0.0.1:{free_port}"):
        good = (caller.key_pem, caller.certificate_pem)
        assert await _health_over_tls(free_port, old.certificate_pem, good) == health_pb2.HealthCheckResponse.SERVING
        for bad in (None, (stranger.key_pem, stranger.certificate_pem)):
            with pytest.raises(grpc.aio.AioRpcError):
                await _health_over_tls(free_port, old.certificate_pem, bad)
        _write(new, tmp_path, "server")
        assert await _health_over_tls(free_port, new.certificate_pem, good) == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError):
            await _health_over_tls(free_port, old.certificate_pem, good)
