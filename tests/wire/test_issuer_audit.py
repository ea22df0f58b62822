"""What the issuer writes down, over real HTTPS and gRPC: each token before it leaves, each refusal, and no secret."""

import base64
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import grpc
import pytest
from yarl import URL

from ott_extauthz._proto.ott.issuer.v1.issuer_pb2 import MintRequest, MintResponse
from ott_extauthz.authn.base64url import encoded
from ott_extauthz.bootstrap.client_secret_files import make_secret
from ott_extauthz.bootstrap.issuer_audit import issuer_audit
from ott_extauthz.bootstrap.issuer_batches import batch_server
from ott_extauthz.bootstrap.issuer_tracing import new_issuer_tracer
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.issuer.key_change import KeyChange, KeyState
from ott_extauthz.model.token import TokenId, public_token_id
from ott_extauthz.observe.exposition import exposition
from ott_extauthz.observe.issuer_audit import ISSUER_MEANINGS, AuditedEvents, IssuerAuditFile
from ott_extauthz.observe.issuer_log import IssuerLog
from ott_extauthz.observe.issuer_metrics import IssuerMetrics
from ott_extauthz.observe.listeners import IssuerListeners
from ott_extauthz.observe.log import new_logger
from tests.collector import Collector, collecting
from tests.exchange_bank import claims_of
from tests.fakes.certificates import Authority, Leaf
from tests.full_disk import fill
from tests.issuer_bank import CLIENTS, FORM, FORM_TYPE, RGS, Bank
from tests.issuer_door import MINT, with_grpc
from tests.leaks import leaked, variants

SECRET = """
  - client_id: old
    authentication: client_secret_basic
    secret: old.secret
    unbound: accept the risk
    audiences: {wallet.api: {scopes: ["wallet:debit"]}}
"""
SETTINGS = ", client_secret_basic: accept the risk, failure_limit: {failures: 2, within: 30s}"
CHANGE = KeyChange(ring="", kid="k2", before=KeyState.NEXT, after=KeyState.ACTIVE, made_ms=0)


@dataclass
class Written:
    """A bank that writes down what it does."""

    bank: Bank
    audit: IssuerAuditFile
    metrics: IssuerMetrics
    observer: IssuerListeners
    collector: Collector

    @property
    def file(self) -> Path:
        return self.bank.folder / "audit" / "issuer-127.0.0.1-0.jsonl"

    @property
    def lines(self) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.file.read_text().splitlines()]
        assert all(list(line) == list(ISSUER_MEANINGS) for line in lines)
        return lines

    def count(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(name)

    async def spans(self) -> str:
        """All that was sent to the collector, once it has all of it."""
        assert self.bank.issuer.tracer is not None
        await self.bank.issuer.tracer.outlet.aclose()
        assert {span.name for span in self.collector.spans} >= {"token", "introspect", "authenticate", "sign", "audit"}
        return self.collector.raw.decode("latin-1")

    def break_file(self) -> None:
        """From now on the disk is full."""
        fill(self.audit)

    @asynccontextmanager
    async def gate(self, leaf: Leaf) -> AsyncIterator[Any]:
        """The issuer's gRPC, for as long as the block lasts."""
        issuer, bank = self.bank.issuer, self.bank
        server = batch_server(
            issuer.inputs, issuer.sources.clients.desks, clock=bank.clock, observer=self.observer, trail=issuer.trail,
            grace=5, tracing=issuer.tracing,
        )  # fmt: skip
        assert server is not None
        await server.start()
        identity = grpc.ssl_channel_credentials(bank.authority.pem, leaf.key_pem, leaf.pem)
        async with grpc.aio.secure_channel(server.address, identity) as channel:
            yield channel.unary_unary(
                MINT, request_serializer=MintRequest.SerializeToString, response_deserializer=MintResponse.FromString
            )
        await server.leave()


@pytest.fixture(params=["required", "optional"])
def audit_settings(request: pytest.FixtureRequest) -> str:
    return "{path: audit}" if request.param == "required" else "{path: audit, required: false}"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture
async def written(
    tmp_path: Path, authority: Authority, audit_settings: str, collector: Collector
) -> AsyncIterator[Written]:
    bank = with_grpc(Bank(tmp_path, authority, clients=CLIENTS + SECRET, issuer_settings=SETTINGS).prepare())
    bank.secret = make_secret(tmp_path / "old.secret", old="refuse", entropy=bank.entropy)
    with (tmp_path / "ott.yaml").open("a") as file:
        file.write(
            f"audit: {audit_settings}\ntracing: {{endpoint: 'http://{collector.address}', ratio: 1, queue: 65536}}\n"
        )
    metrics = IssuerMetrics(bank.clock.now_ms)
    audit = issuer_audit(bank.settings, counts=metrics, clock=bank.clock, source="ott.yaml")
    assert isinstance(audit, IssuerAuditFile)
    bank.trail = audit
    bank.listening = IssuerListeners(
        metrics, IssuerLog(new_logger("debug")), AuditedEvents(audit), on_broken=metrics.faulted
    )
    bank.new_tracer = partial(
        new_issuer_tracer, bank.settings, registry=metrics.registry, logger=new_logger("debug"), clock=bank.clock,
        on_fault=metrics.faulted,
    )  # fmt: skip
    async with bank.open():
        yield Written(bank, audit, metrics, bank.listening, collector)
    audit.close()


only_required = pytest.mark.parametrize("audit_settings", ["{path: audit}"])


def public_id(token: str) -> str:
    claims = claims_of(token)
    return public_token_id(TokenId(claims["iss"], claims["jti"]).digest)


@only_required
async def test_a_token_is_written_down_by_the_name_that_the_check_server_knows_it_by(
    written: Written, rgs: Leaf
) -> None:
    trace = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-00"}
    token = (await written.bank.token(rgs, headers=trace)).json["access_token"]
    (line,) = written.lines
    assert {name: value for name, value in line.items() if value is not None} == {
        "v": 1, "at": "2026-11-18T11:06:40.123+00:00", "event": "minted", "door": "token", "client_id": "rgs",
        "method": "tls_client_auth", "grant_type": "client_credentials", "audience": "wallet.api", "kind": "ott+jwt",
        "scope": ["wallet:debit", "wallet:read"], "subject": RGS, "bound_to": {"x5t#S256": encoded(rgs.sha256)},
        "count": 1, "token_ids": [public_id(token)], "expires_at": "2026-11-18T11:07:25.623+00:00",
        "ring": "default", "kid": line["kid"], "trace_id": "1" * 32,
    }  # fmt: skip
    assert line["kid"] in written.bank.issuer.inputs.rings[""].jwks.decode()
    assert (written.file.stat().st_mode & 0o777, written.count("ott_issuer_audit_records_total")) == (0o600, 1)


@only_required
async def test_a_batch_is_one_line_with_the_name_of_each_token(written: Written, rgs: Leaf) -> None:
    async with written.gate(rgs) as mint:
        tokens = (await mint(MintRequest(audience="wallet.api", count=256), timeout=10)).tokens
    (line,) = written.lines
    assert (line["door"], line["count"], line["method"]) == ("grpc", 256, "tls_client_auth")
    assert line["token_ids"] == [public_id(token) for token in tokens]


@only_required
async def test_refusals_are_written_down_and_nobody_is_named_who_was_not_authenticated(
    written: Written, rgs: Leaf
) -> None:
    bank = written.bank
    await bank.token(rgs, {"scope": "wallet:all"})
    await bank.token(rgs, {"client_id": "batch"})
    await bank.token(rgs, "nonsense")
    await bank.request("POST", "/introspect", rgs, data={"client_id": "rgs", "token": "x"})
    async with written.gate(rgs) as mint:
        with pytest.raises(grpc.aio.AioRpcError):
            await mint(MintRequest(audience="ledger.api", count=1), timeout=10)
    found = [(line["door"], line["client_id"], line["error"]) for line in written.lines]
    assert found == [
        ("token", "rgs", "invalid_scope"),
        ("token", None, "invalid_client"),
        ("token", None, "invalid_request"),
        ("introspect", "rgs", "unauthorized_client"),
        ("grpc", "rgs", "invalid_target"),
    ]
    assert all(line["event"] == "refused" and line["detail"] for line in written.lines)


@only_required
async def test_who_failed_too_often_is_written_down_with_the_name_that_was_used(written: Written, rgs: Leaf) -> None:
    for _ in range(3):
        await written.bank.token(rgs, {"client_id": "batch"})
    events = [(line["event"], line["client_id"], line["error"]) for line in written.lines]
    assert written.lines[-2]["trace_id"] == written.lines[-1]["trace_id"] is not None
    assert events[-2:] == [("authentication_limited", "batch", None), ("refused", None, "slow_down")]
    assert len(events) == 4


@only_required
async def test_keys_and_rings_are_written_down_and_what_was_there_at_the_start_is_no_change(written: Written) -> None:
    written.observer.key_changed(
        KeyChange(ring="", kid="k1", before=None, after=KeyState.ACTIVE, made_ms=0, is_news=False)
    )
    written.observer.key_changed(CHANGE)
    written.observer.ring_failed("eu-a", "ring.json: is missing")
    changed, failed = written.lines
    assert [changed[name] for name in ("event", "ring", "kid", "key_before", "key_after")] == [
        "key_changed", "default", "k2", "next", "active",
    ]  # fmt: skip
    assert [failed[name] for name in ("event", "ring", "detail")] == ["ring_failed", "eu-a", "ring.json: is missing"]


async def test_no_token_leaves_that_had_to_be_written_down_and_was_not(
    written: Written, rgs: Leaf, audit_settings: str
) -> None:
    written.break_file()
    is_required = "false" not in audit_settings
    answer = await written.bank.token(rgs)
    async with written.gate(rgs) as mint:
        if is_required:
            assert answer.error == (503, "temporarily_unavailable")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await mint(MintRequest(audience="wallet.api", count=2), timeout=10)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        else:
            assert answer.status == 200
            assert len((await mint(MintRequest(audience="wallet.api", count=2), timeout=10)).tokens) == 2
    # Each token, and of the required ones also the refusal that came of it.
    assert written.count("ott_issuer_audit_failures_total") == (4 if is_required else 2)
    assert (await written.bank.token(rgs, {"scope": "x"})).error == (400, "invalid_scope")  # a refusal stays one


def pieces(*secrets: str) -> Iterator[str]:
    """Everything of these that would give something away: the parts of a JWS, and what its payload says."""
    for secret in secrets:
        yield secret
        yield from (part for part in secret.split(".") if len(part) > 8)
        if secret.count(".") == 2 and secret.startswith("ey"):
            claims = claims_of(secret)
            yield from (claims[name] for name in ("jti", "txn") if name in claims)


@only_required
async def test_nothing_of_a_token_secret_assertion_or_proof_is_in_audit_log_or_metrics(
    written: Written, rgs: Leaf, capsys: pytest.CaptureFixture[str]
) -> None:
    bank = written.bank
    header, payload = (encoded(json.dumps(part).encode()) for part in (
        {"alg": "EdDSA", "typ": "dpop+jwt"}, {"jti": "proofs-own-identifier", "iss": "jot", "sub": "jot"},
    ))  # fmt: skip
    forged = f"{header}.{payload}.{encoded(b's' * 64)}"
    bad = "guessed-secret-0123456789"
    tokens = [(await bank.token(rgs)).json["access_token"]]
    for secret, status in ((bank.secret, 200), (bad, 401)):
        both = {"Authorization": "Basic " + base64.b64encode(f"old:{secret}".encode()).decode()}
        answer = await bank.token(None, {"client_id": None}, both)
        assert answer.status == status
        tokens += [answer.json["access_token"]] if status == 200 else []
    assert (await bank.token(rgs, {}, {"DPoP": forged})).status == 400
    assertion = {"client_id": None, "client_assertion": forged, "client_assertion_type":
                 "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}  # fmt: skip
    assert (await bank.token(None, assertion)).status == 401
    assert (await bank.token(rgs, {"subject_token": forged, "scope": bad, "resource": bad})).status == 400
    assert (await bank.token(rgs, {"client_id": bad})).status == 401
    await bank.request("POST", "/introspect", rgs, data={"client_id": "rgs", "token": tokens[0]})
    async with written.gate(rgs) as mint:
        tokens += (await mint(MintRequest(audience="wallet.api", count=3), timeout=10)).tokens
        with pytest.raises(grpc.aio.AioRpcError):
            await mint(MintRequest(audience=bad, scopes=[bad], count=1), timeout=10)
    basic = base64.b64encode(f"old:{bank.secret}".encode()).decode()
    spans = await written.spans()
    told = written.file.read_text() + capsys.readouterr().err + exposition(written.metrics.registry)[0].decode() + spans
    assert told.count('"minted"') == 3
    assert [
        each for each in pieces(*tokens, forged, bad, bank.secret, basic, "proofs-own-identifier") if each in told
    ] == []


FIELDS = (
    "client_id", "client_secret", "client_assertion", "client_assertion_type", "subject_token", "actor_token",
    "requested_token_type", "scope", "resource", "audience", "grant_type", "authorization_details", "cnf", "x",
)  # fmt: skip
HEADERS = (
    "Authorization", "DPoP", "Cookie", "User-Agent", "traceparent", "tracestate", "X-Forwarded-Client-Cert",
    "Client-Cert", "X-Request-Id", "Referer",
)  # fmt: skip


@only_required
async def test_no_form_of_a_secret_in_any_place_of_a_request_is_written_down(
    written: Written, rgs: Leaf, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    bank, caught = written.bank, list[str]()
    token = (await bank.token(rgs)).json["access_token"]
    secrets = [
        token, bank.secret, base64.b64encode(f"old:{bank.secret}".encode()).decode(), encoded(os.urandom(40)),
        f"{token.split('.')[0]}.{token.split('.')[1]}.{encoded(os.urandom(64))}",
    ]  # fmt: skip
    plain = {"Content-Type": FORM_TYPE}
    wrong = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    async with bank.session(rgs) as session:
        for secret in secrets:
            for value in variants(secret).values():
                text = value.decode("latin-1")
                forms = [FORM | {"client_assertion_type": wrong} | {field: text} for field in FIELDS]
                forms.append({text: "x"})
                headers = [{name: before + text} for name in HEADERS for before in ("", "Basic ", "Bearer ")]
                asked: list[tuple[str, dict[str, Any]]] = [
                    ("/token", {"data": urlencode(form), "headers": plain}) for form in forms
                ]
                asked += [
                    ("/token", {"data": FORM, "headers": plain | each})
                    for each in headers
                    if not set("\r\n\0") & {*text}
                ]
                asked += [
                    ("/introspect", {"data": urlencode({"client_id": "rgs", "token": text}), "headers": plain}),
                    (f"/token?access_token={quote(text)}", {"data": FORM}),
                    (f"/{quote(text)}", {}),
                    ("/token", {"data": value}),
                ]
                for path, options in asked:
                    async with session.post(URL(path, encoded=True), **options) as response:
                        assert response.status < 500
                        caught.append(await response.text() if response.status != 200 else "")
    spans = await written.spans()
    captured = capfd.readouterr()
    told = spans + written.file.read_text() + captured.out + captured.err + caplog.text + "".join(caught)
    told += exposition(written.metrics.registry)[0].decode()
    assert len(told.splitlines()) > 500
    assert not leaked(secrets, told), [line for line in told.splitlines() if leaked(secrets, line)][:5]


def test_an_audit_that_cannot_be_opened_keeps_the_issuer_from_starting(tmp_path: Path, authority: Authority) -> None:
    bank = Bank(tmp_path, authority).prepare()
    with (tmp_path / "ott.yaml").open("a") as file:
        file.write("audit: {path: ca.pem}\n")
    with pytest.raises(DocumentError, match=r"audit\.path: .* cannot be opened"):
        issuer_audit(bank.settings, counts=IssuerMetrics(lambda: 0), clock=bank.clock, source="ott.yaml")
