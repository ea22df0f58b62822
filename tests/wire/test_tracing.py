"""A served Check told as spans, on both transports: over real gRPC, from Envoy's metadata to a collector."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grpc.aio
import pytest
from envoy.service.auth.v3.external_auth_pb2_grpc import AuthorizationStub

from ott_extauthz.demo.pki import Authority
from tests.collector import attributes, collecting
from tests.fakes.issuer import FakeIssuer
from tests.wire.conftest import Configure, Desk, served

ENVOYS = f"00-{'3' * 32}-{'4' * 16}-01"
CLIENTS = f"00-{'1' * 32}-{'2' * 16}-01"
TRACING = "tracing: {{endpoint: 'http://{address}', every: 20ms, parent: {parent}, resource: {{deployment: test}}}}\n"


async def until(holds: Callable[[], bool]) -> None:
    """Wait for another thread, however busy the machine is."""
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - gRPC's threads tell nobody
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("transport", ["native", "grpcio"])
async def test_a_check_that_envoy_traces_becomes_a_child_of_envoys_span(
    transport: str, configured: Configure, tmp_path: Path
) -> None:
    identity = Authority("test").issue("rgs", uri="spiffe://bank.example/rgs")
    with collecting() as collector:
        more = TRACING.format(address=collector.address, parent="envoy") + f"audit: {{path: {tmp_path}/audit}}\n"
        settings = configured(transport, more)
        async with (
            served(settings, f"unix://{tmp_path}/check.sock") as app,
            grpc.aio.insecure_channel(f"unix:{tmp_path}/check.sock") as channel,
        ):
            desk = Desk(app, channel, FakeIssuer(), identity)
            await asyncio.sleep(0.01)
            stub = AuthorizationStub(channel)
            request = desk.request(("x-ott", desk.token()), ("traceparent", CLIENTS))
            answer = await stub.Check(request, timeout=5, metadata=(("traceparent", ENVOYS), ("tracestate", "a=b")))
            await stub.Check(request, timeout=5)  # a client alone says it is traced: it is not
            await until(lambda: bool(collector.named("encode")))
        assert answer.status.code == 0
        spans = collector.spans
        [own] = collector.named("Check")
        assert (own.name, own.kind) == ("Check wallet-debit", 2)
        assert (own.trace_id.hex(), own.parent_span_id.hex()) == ("3" * 32, "4" * 16)
        assert {span.trace_id for span in spans} == {own.trace_id}
        assert list(collector.children(own)) == [
            "decode", "route", "credential", "verify", "bind", "authorize", "spend", "allow", "audit", "encode",
        ]  # fmt: skip
        [line, of_the_second] = map(json.loads, next((tmp_path / "audit").iterdir()).read_text().splitlines())
        assert attributes(own)["ott.decision_id"] == line["decision_id"]
        assert (line["trace_id"], of_the_second["trace_id"]) == ("3" * 32, "1" * 32)
        assert collector.resources[0]["service.name"] == "ott-extauthz"
        assert collector.resources[0]["deployment"] == "test"
        assert app.metrics.registry.get_sample_value("ott_spans_exported_total") == len(spans)


async def test_a_request_that_no_one_can_read_is_told_too(configured: Configure, tmp_path: Path) -> None:
    with collecting() as collector:
        settings = configured("native", TRACING.format(address=collector.address, parent="envoy"))
        async with (
            served(settings, f"unix://{tmp_path}/check.sock"),
            grpc.aio.insecure_channel(f"unix:{tmp_path}/check.sock") as channel,
        ):
            call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
                "/envoy.service.auth.v3.Authorization/Check"
            )
            await call(b"\xff", timeout=5, metadata=(("traceparent", ENVOYS),))
            await until(lambda: bool(collector.named("encode")))
        [own] = collector.named("Check")
        assert attributes(own)["ott.reason"] == "request_malformed"
        assert list(collector.children(own)) == ["decode", "audit", "encode"]


async def test_a_collector_that_is_down_changes_no_answer(configured: Configure, tmp_path: Path) -> None:
    identity = Authority("test").issue("rgs", uri="spiffe://bank.example/rgs")
    more = "tracing: {endpoint: 'http://127.0.0.1:1', ratio: 1, every: 10ms, timeout: 50ms}\n"
    async with (
        served(configured("native", more), f"unix://{tmp_path}/check.sock") as app,
        grpc.aio.insecure_channel(f"unix:{tmp_path}/check.sock") as channel,
    ):
        desk = Desk(app, channel, FakeIssuer(), identity)
        await asyncio.sleep(0.01)
        answer = await desk.check(desk.request(("x-ott", desk.token())))
        assert answer.status.code == 0
        dropped = ("ott_spans_dropped_total", {"why": "export_failed"})
        await until(lambda: bool(app.metrics.registry.get_sample_value(*dropped)))


def test_without_tracing_nothing_of_the_sdk_is_loaded() -> None:
    """What is off costs neither time to start nor memory."""
    script = (
        "import sys, ott_extauthz.cli, ott_extauthz.bootstrap.check_server, ott_extauthz.bootstrap.issuer\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert shown.stdout == "[]\n"


async def test_variables_of_the_sdk_have_no_say(
    configured: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collecting() as collector, collecting() as other:
        for name, value in {
            "OTEL_SDK_DISABLED": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{other.address}",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=from-the-environment",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment=from-the-environment",
            "OTEL_SERVICE_NAME": "from-the-environment",
            "OTEL_TRACES_SAMPLER": "always_off",
            "https_proxy": f"http://{other.address}",
            "http_proxy": f"http://{other.address}",
        }.items():
            monkeypatch.setenv(name, value)
        settings = configured("native", TRACING.format(address=collector.address, parent="envoy"))
        async with (
            served(settings, f"unix://{tmp_path}/check.sock"),
            grpc.aio.insecure_channel(f"unix:{tmp_path}/check.sock") as channel,
        ):
            call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
                "/envoy.service.auth.v3.Authorization/Check"
            )
            await call(b"\xff", timeout=5, metadata=(("traceparent", ENVOYS),))
            await until(lambda: bool(collector.named("encode")))
        assert collector.named("Check")
        assert "from-the-environment" not in f"{collector.raw!r} {collector.metadata} {other.raw!r}"


async def test_spans_go_over_mutual_tls_to_the_collector_that_our_authority_signed(
    configured: Configure, tmp_path: Path
) -> None:
    authority, stranger = Authority("ours"), Authority("stranger")
    authority.write(tmp_path, "ca")
    stranger.write(tmp_path, "other-ca")
    authority.issue("ott").write(tmp_path, "ott")
    certificate, key = authority.issue("collector", server=True, ips=("127.0.0.1",)).write(tmp_path, "collector")
    (tmp_path / "headers").touch(mode=0o600)
    (tmp_path / "headers").write_text("x-key: collectors-own")
    credentials = grpc.ssl_server_credentials(
        [(key.read_bytes(), certificate.read_bytes())], authority.certificate_pem, require_client_auth=True
    )
    with collecting(credentials) as collector:
        for ca, name, labels in (("other-ca", "dropped", {"why": "export_failed"}), ("ca", "exported", {})):
            settings = configured(
                "native",
                f"tracing: {{endpoint: 'https://{collector.address}', ca: {ca}.pem, certificate: ott.pem, "
                "key: ott-key.pem, headers_file: headers, ratio: 1, every: 10ms, timeout: 1s}\n",
            )
            async with (
                served(settings, f"unix://{tmp_path}/check.sock") as app,
                grpc.aio.insecure_channel(f"unix:{tmp_path}/check.sock") as channel,
            ):
                call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
                    "/envoy.service.auth.v3.Authorization/Check"
                )
                await call(b"\xff", timeout=5)
                value = app.metrics.registry.get_sample_value
                await until(lambda: bool(value(f"ott_spans_{name}_total", labels)))  # noqa: B023 - awaited here
            assert bool(collector.spans) is (ca == "ca"), "no span goes to a collector that anybody else signed"
    assert collector.metadata[0]["x-key"] == "collectors-own"


async def test_files_that_rotate_count_without_a_restart_and_broken_ones_change_nothing(
    configured: Configure, tmp_path: Path
) -> None:
    ours, old = Authority("ours"), Authority("old")
    old.write(tmp_path, "ca")
    old.issue("ott").write(tmp_path, "ott")
    certificate, key = ours.issue("collector", server=True, ips=("127.0.0.1",)).write(tmp_path, "collector")
    (tmp_path / "headers").touch(mode=0o600)
    (tmp_path / "headers").write_text("x-key: old\n")
    credentials = grpc.ssl_server_credentials(
        [(key.read_bytes(), certificate.read_bytes())], ours.certificate_pem, require_client_auth=True
    )
    with collecting(credentials) as collector:
        endpoint = f"https://{collector.address}"
        settings = configured(
            "native",
            f"tracing: {{endpoint: '{endpoint}', ca: ca.pem, certificate: ott.pem, key: ott-key.pem, "
            "headers_file: headers, ratio: 1, every: 10ms, timeout: 500ms}\n",
        )
        async with (
            served(settings, f"unix://{tmp_path}/check.sock") as app,
            grpc.aio.insecure_channel(f"unix:{tmp_path}/check.sock") as channel,
        ):
            check: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
                "/envoy.service.auth.v3.Authorization/Check"
            )
            value, files = app.metrics.registry.get_sample_value, app.sources.tracing
            assert files is not None

            async def counts(name: str, **labels: str) -> None:
                before = value(f"ott_spans_{name}_total", labels) or 0
                async with asyncio.timeout(60):  # on a busy machine a good batch may run out of time, too
                    while (value(f"ott_spans_{name}_total", labels) or 0) == before:
                        await check(b"\xff", timeout=5)
                        await asyncio.sleep(0.02)

            await counts("dropped", why="export_failed")  # another authority signed the collector's certificate
            for name in ("ott.pem", "ott-key.pem"):
                (tmp_path / name).unlink()
            ours.issue("ott").write(tmp_path, "ott")
            ours.write(tmp_path, "ca")
            assert await asyncio.to_thread(files.reload)
            await counts("exported")
            (tmp_path / "headers").write_text("x-key: new\n")
            assert await asyncio.to_thread(files.reload)
            await counts("exported")
            (tmp_path / "headers").write_text("X broken\n")
            assert await asyncio.to_thread(files.reload)
            await counts("exported")
            for result, count in (("loaded", 2), ("refused", 1)):
                assert value("ott_key_set_reloads_total", {"issuer": endpoint, "result": result}) == count
            assert value("ott_refused_changes", {"what": "tracing_files"}) == 1
    assert [collector.metadata[0]["x-key"], collector.metadata[-1]["x-key"]] == ["old", "new"]
