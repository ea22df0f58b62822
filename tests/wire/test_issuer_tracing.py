"""The issuer told as spans, over real HTTPS and gRPC: from a client's trace to a collector, and on to the Check."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import pytest
from envoy.service.auth.v3.external_auth_pb2_grpc import AuthorizationStub
from multidict import CIMultiDict

from ott_extauthz._proto.ott.issuer.v1.issuer_pb2 import MintRequest, MintResponse, MintStreamResponse
from ott_extauthz.bootstrap.client_set import changes_between
from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.bootstrap.issuer_audit import issuer_audit
from ott_extauthz.bootstrap.issuer_batches import batch_server
from ott_extauthz.bootstrap.issuer_tracing import new_issuer_tracer
from ott_extauthz.issuer.trail import Door
from ott_extauthz.observe.issuer_audit import NoIssuerAudit
from ott_extauthz.observe.issuer_metrics import IssuerMetrics
from ott_extauthz.observe.issuer_reloads import IssuerReloads
from ott_extauthz.observe.log import new_logger
from tests.collector import Collector, attributes, collecting
from tests.fakes.certificates import Authority, Leaf
from tests.fakes.issuer import FakeIssuer
from tests.fakes.key_set_server import key_set_server
from tests.fakes.requests import check_request
from tests.issuer_bank import FORM, Bank
from tests.issuer_door import MINT, with_grpc
from tests.wire.conftest import Configure, served
from tests.wire.test_tracing import until

STREAM = MINT.removesuffix("Mint") + "MintStream"
MINE = f"00-{'1' * 32}-{'2' * 16}-01"
UNSAMPLED = f"00-{'5' * 32}-{'6' * 16}-00"
STEPS = ["authenticate", "bind", "grant", "sign", "audit"]


@dataclass
class Traced:
    """A bank whose issuer sends spans to a collector."""

    bank: Bank
    collector: Collector
    metrics: IssuerMetrics
    faults: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[dict[str, Any]]:
        [file] = (self.bank.folder / "audit").iterdir()
        return [json.loads(line) for line in file.read_text().splitlines()]

    @asynccontextmanager
    async def gate(self, leaf: Leaf) -> AsyncIterator[grpc.aio.Channel]:
        issuer, bank = self.bank.issuer, self.bank
        server = batch_server(
            issuer.inputs, issuer.sources.clients.desks, clock=bank.clock, observer=bank.observer, trail=issuer.trail,
            grace=5, tracing=issuer.tracing,
        )  # fmt: skip
        assert server is not None
        await server.start()
        identity = grpc.ssl_channel_credentials(bank.authority.pem, leaf.key_pem, leaf.pem)
        async with grpc.aio.secure_channel(server.address, identity) as channel:
            yield channel
        await server.leave()

    async def spans(self, prefix: str, count: int = 1) -> list[Any]:
        await until(lambda: len(self.collector.named(prefix)) >= count)
        return self.collector.named(prefix)


@asynccontextmanager
async def tracing(folder: Path, authority: Authority, more: str | None, issuer: str = "") -> AsyncIterator[Traced]:
    """Open a bank whose `tracing` goes on with ``more``; None has none."""
    with collecting() as collector:
        bank = with_grpc(Bank(folder, authority, issuer_settings=issuer).prepare())
        with (folder / "ott.yaml").open("a") as file:
            file.write("audit: {path: audit}\n")
            if more is not None:
                file.write(f"tracing: {{endpoint: 'http://{collector.address}', every: 20ms, {more}}}\n")
        bank.clock.at_ms = SystemClock().now_ms()
        metrics = IssuerMetrics(bank.clock.now_ms)
        traced = Traced(bank, collector, metrics)
        audit = issuer_audit(bank.settings, counts=metrics, clock=bank.clock, source="ott.yaml")
        bank.trail = audit
        bank.new_tracer = partial(
            new_issuer_tracer, bank.settings, registry=metrics.registry, logger=new_logger("error"), clock=bank.clock,
            on_fault=traced.faults.append,
        )  # fmt: skip
        async with bank.open():
            yield traced
        if bank.issuer.tracer is not None:
            await bank.issuer.tracer.outlet.aclose()
        audit.close()
        assert traced.faults == []


async def test_token_and_introspection_requests_are_spans_of_the_clients_trace(
    tmp_path: Path, authority: Authority, rgs: Leaf
) -> None:
    async with tracing(tmp_path, authority, "parent: request") as traced:
        bank, said = traced.bank, {"traceparent": MINE, "tracestate": "a=hunter2"}
        assert (await bank.token(rgs, headers=said)).status == 200
        assert (await bank.token(rgs, {"scope": "hunter2"}, said)).error == (400, "invalid_scope")
        form = {"client_id": "rgs", "token": "hunter2"}
        assert (await bank.request("POST", "/introspect", rgs, data=form, headers=said)).status == 403
        assert (await bank.request("GET", "/jwks", None, headers=said)).status == 200
        minted, refused = await traced.spans("token", 2)
        [introspected] = await traced.spans("introspect")
        await until(lambda: "audit" in traced.collector.children(introspected))
        for span in (minted, refused, introspected):
            assert (span.kind, span.trace_id.hex(), span.parent_span_id.hex()) == (2, "1" * 32, "2" * 16)
        assert list(traced.collector.children(minted)) == STEPS
        assert list(traced.collector.children(refused)) == ["authenticate", "bind", "grant", "audit"]
        assert list(traced.collector.children(introspected)) == ["authenticate", "audit"]
        assert attributes(minted)["ott.token_id"] == traced.lines[0]["token_ids"][0]
        assert [attributes(span).get("ott.error") for span in (minted, refused, introspected)] == [
            None, "invalid_scope", "unauthorized_client",
        ]  # fmt: skip
        assert [line["trace_id"] for line in traced.lines] == ["1" * 32] * 3
        assert b"hunter2" not in traced.collector.raw
        assert not traced.collector.named("jwks")
        assert traced.collector.resources[0]["service.name"] == "ott-extauthz"


async def test_batches_over_grpc_are_spans_and_each_request_of_a_stream_is_one(
    tmp_path: Path, authority: Authority, rgs: Leaf
) -> None:
    async with tracing(tmp_path, authority, "parent: request") as traced, traced.gate(rgs) as channel:
        options: Any = {"request_serializer": MintRequest.SerializeToString}
        mint: Any = channel.unary_unary(MINT, response_deserializer=MintResponse.FromString, **options)
        stream: Any = channel.stream_stream(STREAM, response_deserializer=MintStreamResponse.FromString, **options)
        good = MintRequest(audience="wallet.api", count=2)
        metadata = (("traceparent", MINE),)
        assert len((await mint(good, timeout=10, metadata=metadata)).tokens) == 2
        call = stream(metadata=metadata, timeout=10)
        for request in (good, MintRequest(audience="hunter2", count=1)):
            await call.write(request)
            await call.read()
        await call.done_writing()
        await mint(good, timeout=10, metadata=(("traceparent", "00-hunter2"),))
        spans = await traced.spans("mint", 3)
        assert {(span.trace_id.hex(), span.parent_span_id.hex()) for span in spans} == {("1" * 32, "2" * 16)}
        assert [attributes(span).get("ott.count") for span in spans] == ["2", "2", None]
        assert "ott.token_id" not in attributes(spans[0]), "of a batch the audit has them all"
        assert [line["trace_id"] for line in traced.lines] == ["1" * 32] * 3 + [None]
        assert b"hunter2" not in traced.collector.raw


async def test_by_default_a_clients_word_names_a_trace_and_decides_nothing(
    tmp_path: Path, authority: Authority, rgs: Leaf
) -> None:
    async with tracing(tmp_path, authority, "ratio: 0") as traced:
        for header in (MINE, UNSAMPLED, "00-hunter2", None):
            assert (await traced.bank.token(rgs, headers={"traceparent": header} if header else {})).status == 200
        twice = CIMultiDict([("traceparent", MINE), ("traceparent", UNSAMPLED)])
        assert (await traced.bank.request("POST", "/token", rgs, data=FORM, headers=twice)).status == 200
        assert [line["trace_id"] for line in traced.lines] == ["1" * 32, "5" * 32, None, None, None]
        await asyncio.sleep(0.1)  # several times longer than a batch waits
        assert traced.collector.spans == []


async def test_without_tracing_the_clients_trace_is_in_the_audit_and_nothing_is_wrapped(
    tmp_path: Path, authority: Authority, rgs: Leaf
) -> None:
    async with tracing(tmp_path, authority, None) as traced:
        bank = traced.bank
        assert (await bank.token(rgs, headers={"traceparent": MINE})).status == 200
        async with traced.gate(rgs) as channel:
            mint: Any = channel.unary_unary(MINT, request_serializer=MintRequest.SerializeToString)
            await mint(MintRequest(audience="wallet.api", count=2), timeout=10, metadata=(("traceparent", UNSAMPLED),))
        assert [line["trace_id"] for line in traced.lines] == ["1" * 32, "5" * 32]
        assert bank.issuer.tracer is None
        endpoint = bank.issuer.sources.clients.desks().endpoint
        parts = (endpoint.authenticator, endpoint.possession, *endpoint.grants.values(), bank.issuer.trail)
        assert not [part for part in parts if type(part).__name__.startswith("Timed")]


async def test_one_trace_goes_from_the_clients_mint_through_the_issuer_and_the_check(
    tmp_path: Path, authority: Authority, rgs: Leaf, configured: Configure
) -> None:
    (tmp_path / "issuer").mkdir()
    async with tracing(tmp_path / "issuer", authority, "parent: request") as traced:
        more = f"tracing: {{endpoint: 'http://{traced.collector.address}', every: 20ms, parent: request}}\n"
        settings = configured("native", more + f"audit: {{path: {tmp_path}/checks}}\n")
        (tmp_path / "jwks.json").write_bytes(traced.bank.issuer.inputs.rings[""].jwks)
        async with (
            served(settings, f"unix://{tmp_path}/check.sock"),
            grpc.aio.insecure_channel(f"unix:{tmp_path}/check.sock") as channel,
        ):
            await asyncio.sleep(0.01)  # past the fence of a list that was just made
            traced.bank.clock.at_ms = SystemClock().now_ms()
            answer = await traced.bank.token(rgs, headers={"traceparent": MINE})
            headers = (("x-ott", answer.json["access_token"]), ("traceparent", MINE))
            request = check_request(headers=headers, certificate=quote(rgs.pem.decode(), safe=""))
            assert (await AuthorizationStub(channel).Check(request, timeout=5)).status.code == 0
            [mint], [check] = await traced.spans("token"), await traced.spans("Check")
        assert mint.trace_id == check.trace_id == bytes.fromhex("1" * 32)
        assert attributes(mint)["ott.token_id"] == attributes(check)["ott.token_id"]
        [line] = map(json.loads, next((tmp_path / "checks").iterdir()).read_text().splitlines())
        assert (line["trace_id"], line["token_id"]) == (traced.lines[0]["trace_id"], traced.lines[0]["token_ids"][0])


async def test_the_issuers_files_of_tracing_are_followed_and_no_digest_of_a_secret_is_told(
    tmp_path: Path, authority: Authority, rgs: Leaf, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "headers").touch(mode=0o600)
    (tmp_path / "headers").write_text("x-key: old-hunter2\n")
    async with tracing(tmp_path, authority, "ratio: 1, headers_file: headers") as traced:
        reloads = IssuerReloads(new_logger("info"), traced.metrics, NoIssuerAudit(), changes_between)
        files = traced.bank.issuer.sources.tracing
        assert files is not None
        files.listener = reloads
        assert (await traced.bank.token(rgs)).status == 200
        await traced.spans("token")
        for text, result in (("x-key: new-hunter2\n", "loaded"), ("X hunter2\n", "refused")):
            (tmp_path / "headers").write_text(text)
            assert await asyncio.to_thread(files.reload)
            labels = {"issuer": f"http://{traced.collector.address}", "result": result}
            assert traced.metrics.registry.get_sample_value("ott_key_set_reloads_total", labels) == 1
        assert (await traced.bank.token(rgs)).status == 200
        await traced.spans("token", 2)
        _, lines = await traced.bank.issuer.readiness()
        assert any("tracing files" in line and "refused" in line for line in lines)
    assert [traced.collector.metadata[at]["x-key"] for at in (0, -1)] == ["old-hunter2", "new-hunter2"]
    told = capsys.readouterr().err
    assert "change refused, what was in force stays" in told
    assert "sha256" not in told + "".join(line for line in lines if "tracing" in line)
    assert "hunter2" not in told + "".join(lines)


async def test_the_span_of_the_last_answer_is_sent_as_well(tmp_path: Path, authority: Authority) -> None:
    """It is made a moment after the answer, when the issuer may be leaving."""
    async with tracing(tmp_path, authority, "ratio: 1") as traced:
        tracer = traced.bank.issuer.tracer
        assert tracer is not None
        tracer.spans.arrived(Door.TOKEN, None)
        tracer.spans.answered()
        await tracer.outlet.aclose()
        assert len(traced.collector.named("token")) == 1


async def test_fetches_of_foreign_issuers_keys_are_traces_of_their_own(tmp_path: Path, authority: Authority) -> None:
    login = FakeIssuer("https://login.example")
    (tmp_path / "login").mkdir()
    async with key_set_server(tmp_path / "login", login.jwks()) as server:
        subjects = (
            f", subject_issuers: [{{issuer: '{login.issuer}', jwks: '{server.url}', ca: login/ca.pem, "
            "algorithms: [EdDSA], audience: x, token_types: [id_token]}]"
        )
        async with tracing(tmp_path, authority, "ratio: 0", subjects) as traced:
            (followed,) = traced.bank.issuer.sources.followed
            await followed.refresh()
            [span] = await traced.spans("fetch keys")
        assert attributes(span) == {"ott.asked": login.issuer, "ott.result": "loaded"}
        assert span.parent_span_id == b""
