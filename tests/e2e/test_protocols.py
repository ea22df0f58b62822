"""Ways of speaking HTTP: bodies, chunks, Expect, HEAD, upgrades, CONNECT, HTTP/2, gRPC."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex

import grpc
import pytest

from ott_extauthz.demo.calling import read_reply
from tests.e2e.calling import Header, connection, request
from tests.e2e.rig import DEBIT, Rig

pytestmark = pytest.mark.e2e

BODY_LISTENERS = ["shipped", "merged", "string-body"]
CHUNKED: Header = ("transfer-encoding", "chunked")


@pytest.mark.parametrize("listener", BODY_LISTENERS)
@pytest.mark.parametrize("body", [b"x", b'{"amount": 25}', bytes(range(256)), b"\xff\xfe\x00abc", b"x" * 65536])
def test_a_body_passes_whole_however_envoy_hands_it_to_the_server(rig: Rig, listener: str, body: bytes) -> None:
    """In ``body`` or in ``raw_body``: neither may turn a good call into an error."""
    assert rig.call(listener=listener, token=rig.good(), body=body).delivery.body == body


def test_a_body_that_the_server_sees_in_part_reaches_the_upstream_whole(rig: Rig) -> None:
    """No route of this version looks into bodies; one that did would have to refuse this."""
    body = b"x" * 6756
    assert rig.call(listener="partial-body", token=rig.good(), body=body).delivery.body == body


def test_a_body_over_the_limit_is_refused_before_the_check_and_costs_no_token(rig: Rig) -> None:
    token = rig.good()
    answer = rig.call(token=token, body=b"x" * 65537)
    assert answer.status == 413
    assert answer.deliveries == []
    assert rig.call(token=token).status == 200


def test_a_chunked_body_passes(rig: Rig) -> None:
    chunks = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    answer = rig.call(token=rig.good(), headers=[CHUNKED], body=chunks)
    assert answer.delivery.body == b"hello world"


def test_a_chunked_body_without_buffering_passes_unread(rig: Rig) -> None:
    chunks = b"5\r\nhello\r\n0\r\n\r\n"
    target = "/v1/wallets/unbuffered/debit"
    answer = rig.call(listener="routes", target=target, token=rig.good(), headers=[CHUNKED], body=chunks)
    assert answer.delivery.body == b"hello"


def test_without_buffering_a_refused_body_never_reaches_the_upstream(rig: Rig) -> None:
    answer = rig.call(listener="routes", target="/v1/wallets/unbuffered/debit", body=b"x" * 200_000)
    assert answer.outcome == (401, "credential_missing")
    assert answer.deliveries == []


def test_expect_100_continue(rig: Rig) -> None:
    answer = rig.call(token=rig.good(), headers=[("expect", "100-continue")], body=b"hello")
    assert answer.delivery.body == b"hello"
    refused = rig.call(headers=[("expect", "100-continue")], body=b"hello")
    assert refused.outcome == (401, "credential_missing")


def test_smuggling_by_two_lengths_is_refused_before_us(rig: Rig) -> None:
    both: list[Header] = [("content-length", "5"), CHUNKED]
    assert rig.call(token=rig.good(), headers=both, body=b"0\r\n\r\n").status == 400
    two: list[Header] = [("content-length", "5"), ("content-length", "6")]
    assert rig.call(token=rig.good(), headers=two, body=b"hello").status == 400


def test_a_client_cannot_claim_that_its_body_was_complete(rig: Rig) -> None:
    """``x-envoy-auth-partial-body`` of the client's own is stripped from the Check: no duplicate, no refusal."""
    answer = rig.call(token=rig.good(), headers=[("x-envoy-auth-partial-body", "false")], body=b"hello")
    assert answer.status == 200


# --- upgrades


UPGRADE: list[Header] = [
    ("connection", "upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", base64.b64encode(b"0123456789abcdef").decode()),
]


def test_an_upgrade_without_a_token_is_refused(rig: Rig) -> None:
    answer = rig.call(listener="websocket", method="GET", target="/v1/stream", headers=UPGRADE)
    assert answer.outcome == (401, "credential_missing")
    assert answer.deliveries == []


def test_an_upgrade_with_a_token_passes_once(rig: Rig) -> None:
    token = rig.good()

    def upgrade() -> int:
        return rig.call(listener="websocket", method="GET", target="/v1/stream", headers=UPGRADE, token=token).status

    assert upgrade() == 101
    assert upgrade() == 401


def test_the_shipped_envoy_makes_no_upgrades(rig: Rig) -> None:
    token = rig.good()
    answer = rig.call(method="GET", target="/v1/stream", headers=UPGRADE, token=token)
    assert answer.status == 403
    assert answer.deliveries == []


@pytest.mark.parametrize("listener", ["shipped", "bare", "websocket"])
@pytest.mark.parametrize("target", ["wallet.api:443", "evil.example:80"])
def test_connect_is_refused_and_everybody_lives(rig: Rig, listener: str, target: str) -> None:
    """CVE-2026-73547 crashed on CONNECT."""
    answer = rig.call(listener=listener, method="CONNECT", target=target, host=target, token=rig.good())
    assert answer.status in (400, 403, 404)
    assert answer.deliveries == []
    assert rig.call(listener=listener, token=rig.good()).status == 200


# --- HTTP/2, spoken by Envoy itself (an edge proxy in front) and by grpcio


def test_http2_carries_the_same_rules(rig: Rig) -> None:
    """Tokens bound to the edge proxy, which is who connects here."""
    bound = {"x5t#S256": rig.identities["gateway"].x5t_s256}
    token = rig.good(cnf=bound)
    first = rig.call(listener="edge", token=token, headers=[("x-ott-subject", "admin")], body=b"hello")
    assert first.delivery.body == b"hello"
    assert first.delivery.all("x-ott-subject") == ["player-4711"]
    again = rig.call(listener="edge", token=token)
    assert again.outcome == (401, "token_replayed")
    assert again.reply.json["code"] == "TOKEN_REPLAYED"
    assert rig.call(listener="edge").outcome == (401, "credential_missing")
    assert rig.call(listener="edge", headers=[("x-ott", token), ("x-ott", token)]).status == 400


@contextmanager
def grpc_channel(rig: Rig, authority: str = "wallet.api") -> Iterator[grpc.Channel]:
    tls = rig.folder / "tls"
    credentials = grpc.ssl_channel_credentials(
        (tls / "ca.pem").read_bytes(), (tls / "rgs-key.pem").read_bytes(), (tls / "rgs.pem").read_bytes()
    )
    options = [("grpc.ssl_target_name_override", "127.0.0.1"), ("grpc.default_authority", authority)]
    with grpc.secure_channel(f"127.0.0.1:{rig.ports['routes']}", credentials, options) as channel:
        yield channel


def unary(channel: grpc.Channel, method: str, *metadata: tuple[str, str]) -> tuple[bytes, grpc.StatusCode, str]:
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
    try:
        return call(b"hello", metadata=metadata, timeout=10), grpc.StatusCode.OK, ""
    except grpc.RpcError as error:
        return b"", error.code(), error.details() or ""


GRPC_METHOD = "/grpc.wallet.v1.Wallet/Debit"


def test_a_grpc_client_gets_a_grpc_status_and_a_short_message(rig: Rig) -> None:
    with grpc_channel(rig) as channel:
        _, code, details = unary(channel, GRPC_METHOD)
        assert code is grpc.StatusCode.UNAUTHENTICATED
        assert "AUTH_FAILED" in details
        assert details.isascii()
        assert "{" not in details
        _, code, details = unary(channel, GRPC_METHOD, ("x-ott", rig.good(scope="x")))
        assert (code, "SCOPE_DENIED" in details) == (grpc.StatusCode.PERMISSION_DENIED, True)
        _, code, details = unary(channel, GRPC_METHOD, ("x-ott", rig.good()), ("x-ott", rig.good()))
        assert (code, "MALFORMED_REQUEST" in details) == (grpc.StatusCode.INTERNAL, True)


def test_a_grpc_client_with_a_token_reaches_its_service_once(rig: Rig) -> None:
    token, case = rig.good(), token_hex(8)
    with grpc_channel(rig) as channel:
        reply, code, _ = unary(channel, GRPC_METHOD, ("x-ott", token), ("x-case", case), ("x-ott-subject", "admin"))
        assert (reply, code) == (b"hello", grpc.StatusCode.OK)
        _, code, details = unary(channel, GRPC_METHOD, ("x-ott", token), ("x-case", case))
        assert (code, "TOKEN_REPLAYED" in details) == (grpc.StatusCode.UNAUTHENTICATED, True)
    [(method, metadata)] = [one for one in rig.grpc_upstream.deliveries if ("x-case", case) in one[1]]
    assert method == GRPC_METHOD
    assert [value for key, value in metadata if key == "x-ott-subject"] == ["player-4711"]
    assert not [value for key, value in metadata if key == "x-ott"]


def test_an_http2_authority_with_a_comma_is_no_host(rig: Rig) -> None:
    with grpc_channel(rig, authority="wallet.api,evil.example") as channel:
        _, code, _ = unary(channel, GRPC_METHOD, ("x-ott", rig.good()))
    assert code is not grpc.StatusCode.OK


# --- connections


def test_a_client_that_leaves_during_the_check_harms_nobody(rig: Rig) -> None:
    raw = request("POST", DEBIT, [("host", "wallet.api"), ("x-ott", rig.good())])
    for _ in range(20):
        with connection(rig.ports["shipped"], rig.callers["rgs"].context) as opened:
            opened.sendall(raw)
    assert rig.call(token=rig.good()).status == 200


def test_half_a_request_is_not_a_check(rig: Rig) -> None:
    token = rig.good()
    raw = request("POST", DEBIT, [("host", "wallet.api"), ("x-ott", token), ("content-length", "10")], b"12345")
    with connection(rig.ports["shipped"], rig.callers["rgs"].context) as opened:
        opened.sendall(raw)
    assert rig.call(token=token).status == 200


def test_errors_of_the_http_parser_are_not_ours(rig: Rig) -> None:
    with connection(rig.ports["shipped"], rig.callers["rgs"].context) as opened:
        opened.sendall(b"GET / HTTP/1.1\r\nhost: wallet.api\r\nbad header\r\n\r\n")
        assert read_reply(opened, "GET").status == 400


def test_the_answer_to_a_denial_is_json_that_parses_strictly(rig: Rig) -> None:
    body = rig.call().reply.body
    assert json.loads(body) == json.loads(body.decode("ascii"))
