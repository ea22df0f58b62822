"""No secret that a caller sends, wherever it puts it, is ever written down: log, audit, metrics, spans, access log.

What has a token's form is masked even in a path.  Of an opaque text in a path or a host nobody can say that it is a
secret: both are written, here and in Envoy's access log.
"""

import base64
import itertools
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import grpc
import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest

from tests.e2e.conftest import rigs
from tests.e2e.policies import STANDARD_SECRET, WEBHOOK_SECRET
from tests.e2e.rig import COLLECTOR_SECRET, DEBIT, Rig
from tests.e2e.servers import wait_until
from tests.fakes.requests import check_request
from tests.leaks import leaked, variants

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("rig", rigs("redis"), indirect=True)]

CHECK = "/envoy.service.auth.v3.Authorization/Check"
PATHS = [
    DEBIT, "/v1/bearer", "/v1/erp", "/v1/opaque", "/v1/mandated", "/v1/verified/x", "/v1/in-shadow", "/v1/rules/w-1",
    "/v1/by-certificate", "/nowhere", "/v1/wallets/w-17/bound", "/v1/budgeted",
]  # fmt: skip
HOOKS = ["/v1/hooks", "/v1/events", "/v1/messages"]
BEFORE = {
    "authorization": (b"", b"Bearer ", b"DPoP ", b"Basic "), "cookie": (b"", b"session=", b"__Host-ott="),
    "traceparent": (b"", b"00-", b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01-"), "tracestate": (b"", b"a="),
    "signature": (b"", b"sig1=:"), "signature-input": (b"", b"sig1=();keyid="), "x-signature": (b"", b"t=1,v1="),
}  # fmt: skip
HEADERS = [
    "x-ott", "authorization", "cookie", "dpop", "x-api-key", "txn-token", "traceparent", "tracestate", "user-agent",
    "x-request-id", "x-forwarded-for", "x-forwarded-client-cert", "client-cert", "x-ott-subject", "signature",
    "signature-input", "x-signature", "webhook-signature", "webhook-id", "content-digest", "x-client-trace-id",
    "baggage", "content-type", "content-length", "referer", "origin", "sec-fetch-site", "ott_header", "x_ott",
    "grpc-timeout",
]  # fmt: skip


OPAQUE = {"opaque token", "opaque token of nobody's", "session", "password"}


def sent(rig: Rig) -> dict[str, str]:
    """Secrets of every kind: good ones, that are spent, and bad ones."""
    forge = rig.forge
    confirmed = {"cnf": {"jkt": secrets.token_urlsafe(32)}}
    good = rig.good()
    assert rig.call(token=good).status == 200
    return {
        "one-time token, spent": good,
        "one-time token, expired": forge.token(exp=1),
        "access token": forge.signed(forge.claims(), {"typ": "at+jwt"}),
        "mandate": forge.signed(forge.claims(authorization_details=[{"type": "x"}]), {"typ": "mandate+jwt"}),
        "proof": forge.signed({"htm": "POST", "htu": "https://wallet.api/", "jti": secrets.token_hex(16)} | confirmed,
                              {"typ": "dpop+jwt"}),
        "opaque token": rig.login.issue(secrets.token_urlsafe(40)),
        "opaque token of nobody's": secrets.token_hex(32),
        "API key": rig.api_key,
        "API key of nobody's": f"ottkey_{secrets.token_hex(5)}x.{secrets.token_hex(24)}x",
        "session": secrets.token_hex(24),
        "password": base64.b64encode(f"rgs:{secrets.token_hex(16)}".encode()).decode(),
        "sealed token": ".".join(["eyJhbGciOiJFQ0RILUVTIn0", *(secrets.token_urlsafe(24) for _ in range(4))]),
        "paseto": f"v4.public.{secrets.token_urlsafe(90)}",
    }  # fmt: skip


def hidden(rig: Rig) -> list[str]:
    """Secrets that no caller has."""
    folder = rig.folder
    keys = [path.read_text().splitlines()[1] for path in (folder / "tls").glob("*-key.pem")]
    return [COLLECTOR_SECRET, WEBHOOK_SECRET.decode(), STANDARD_SECRET.removeprefix("whsec_"), *keys]


def requests(kinds: dict[str, str]) -> Iterator[CheckRequest]:
    """Every secret in every place, in all its variants where a place takes them, on paths of every credential."""
    paths = itertools.cycle([*(("wallet.api", path) for path in PATHS), *(("hooks.api", path) for path in HOOKS)])
    for kind, secret in kinds.items():
        for name in HEADERS:
            for (_, value), before in zip(variants(secret).items(), itertools.cycle(BEFORE.get(name, (b"",)))):
                host, path = next(paths)
                yield check_request(host=host, path=path, headers=[(name, before + value)])
        for value in variants(secret).values():
            text = value.decode("latin-1")
            yield check_request(path=f"{DEBIT}?access_token={text}")
            yield check_request(path=f"{DEBIT}#{text}")
            yield check_request(method=text)
            yield check_request(headers=[(secret, b"x")], principal="spiffe://bank.example/rgs")
            yield check_request(headers=[(text.lower().replace(".", "-"), b"x")])
            yield check_request(certificate=quote(text))
            asked = check_request(path="/v1/hooks", host="hooks.api", headers=[("x-envoy-auth-partial-body", b"false")])
            asked.attributes.request.http.raw_body = b'{"event": {"id": "%s"}}' % value
            yield asked
        if kind not in OPAQUE:
            for path in (
                f"/v1/wallets/{secret}/debit",
                f"/{secret}",
                f"{DEBIT}/{quote(secret)}",
                f"/files/a/{secret}/b",
            ):
                yield check_request(path=path)


def test_nothing_that_a_caller_sends_is_written_down(rig: Rig) -> None:
    kinds = sent(rig)
    # All of them on one transport; the other only takes the bytes in.
    asked = itertools.islice(requests(kinds), 0, None, 1 if rig.transport == "native" else 10)
    answered = threading.Semaphore(0)
    with grpc.insecure_channel(rig.checks["ott"].addresses[0]) as channel, ThreadPoolExecutor(16) as pool:
        check: grpc.UnaryUnaryMultiCallable[CheckRequest, bytes] = channel.unary_unary(
            CHECK, request_serializer=CheckRequest.SerializeToString
        )
        forms = itertools.cycle(f"00-{value}-01" for value in kinds.values())
        traced = [f"00-{'5' * 32}-{'6' * 16}-01", *(next(forms) for _ in range(20))]
        metadata = [(("traceparent", each), ("tracestate", "a=" + next(forms))) for each in traced]

        def ask(request: CheckRequest, told: tuple[tuple[str, str], ...]) -> None:
            check(request, timeout=20, metadata=told)
            answered.release()

        for future in [pool.submit(ask, request, told) for request, told in zip(asked, itertools.cycle(metadata))]:
            future.result()
    for secret in kinds.values():
        for listener in ("traced", "bare"):
            for name in ("x-ott", "authorization", "cookie", "user-agent", "traceparent", "x-request-id"):
                rig.call(listener=listener, headers=[(name, secret)])
            rig.call(listener=listener, target=f"{DEBIT}?token={secret}")
    last = rig.call(listener="traced", token=rig.good())
    [access] = rig.access_log(last.case)
    wait_until(lambda: access["decision_id"] in str(rig.collector.spans), lambda: "the last span", 20)
    written = everything_written(rig)
    assert len(written) > 100_000
    assert access["decision_id"] in written
    assert leaked([access["decision_id"]], written), "what is there is found"
    found = leaked([*kinds.values(), *hidden(rig)], written)
    assert not found, [line[:300] for line in written.splitlines() if any(each in line for each in found)][:10]


def everything_written(rig: Rig) -> str:
    """All that any program wrote, said, or sent to the collector as ours; Envoy's own spans are Envoy's."""
    files = [path for path in rig.folder.rglob("*") if path.suffix in {".log", ".jsonl"} and path.is_file()]
    said = [text for one in rig.checks.values() if one.is_ready() for text in (one.metrics(), one.readiness())]
    ours = [
        str(span) for span in rig.collector.spans if not any(pair.key == "upstream_cluster" for pair in span.attributes)
    ]
    return "\n".join([*(path.read_text(errors="replace") for path in files), *said, *ours])
