"""The issuer over gRPC: real TLS, real certificates, and everybody who should get nothing."""

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from ott_extauthz._proto.ott.issuer.v1.issuer_pb2 import MintRequest, MintStreamResponse, Refusal
from ott_extauthz.authn.base64url import encoded
from ott_extauthz.issuer.oauth_error import OAuthErrorCode
from ott_extauthz.ports import SigningError
from ott_extauthz.wire import issuer_grpc, issuer_grpc_server
from ott_extauthz.wire.listening import ListenError
from tests.fakes.certificates import Authority, Leaf
from tests.issuer_bank import RGS, Bank
from tests.issuer_door import GOOD, MINT, Door, opened

STREAM = "/ott.issuer.v1.Issuer/MintStream"


def stream(channel: grpc.aio.Channel) -> Any:
    return channel.stream_stream(
        STREAM, request_serializer=MintRequest.SerializeToString, response_deserializer=MintStreamResponse.FromString
    )


def idle(service: str, channel: grpc.aio.Channel) -> Any:
    """Open a stream on which nothing is ever said."""
    if service == "health":
        return health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
    return stream(channel)() if service == "minting" else _reflection(channel).ServerReflectionInfo()


def _reflection(channel: grpc.aio.Channel) -> Any:
    return reflection_pb2_grpc.ServerReflectionStub(channel)


async def refused(asking: Any) -> tuple[grpc.StatusCode, str]:
    """Return the status and the OAuth code of a refusal, which says the same in both places."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asking
    error = caught.value
    details = [value for name, value in error.trailing_metadata() or () if name == "grpc-status-details-bin"]
    refusal = Refusal()
    if details:
        status = Status.FromString(details[0])
        assert status.code == error.code().value[0]
        assert status.message == error.details()
        assert status.details[0].Unpack(refusal)
        assert refusal.description == error.details()
    return error.code(), refusal.error


async def test_a_batch_is_alike_but_for_its_ids_and_bound_to_the_certificate(door: Door, rgs: Leaf) -> None:
    answer = await door.mint(rgs, count=256)
    claims = [door.claims(token) for token in answer.tokens]
    assert len({each.pop("jti") for each in claims}) == 256
    assert len({each.pop("txn") for each in claims}) == 256
    assert claims[0] == {
        "iss": "https://issuer.bank.example",
        "sub": RGS,
        "client_id": "rgs",
        "aud": "wallet.api",
        "iat": door.bank.clock.at_ms / 1000,
        "exp": (door.bank.clock.at_ms + 45_500) / 1000,
        "cnf": {"x5t#S256": encoded(rgs.sha256)},
        "scope": "wallet:debit wallet:read",
    }
    assert all(each == claims[0] for each in claims)
    assert (answer.issued_at_ms, answer.expires_at_ms) == (door.bank.clock.at_ms, door.bank.clock.at_ms + 45_500)
    assert list(answer.scopes) == ["wallet:debit", "wallet:read"]
    assert door.bank.observer.tokens == [("rgs", "wallet.api")] * 256


async def test_a_batch_may_be_narrower_than_the_grant(door: Door, rgs: Leaf) -> None:
    narrow = {"scopes": ["wallet:debit"], "lifetime_ms": 5000, "htm": "POST", "htp": "/debit", "digest": bytes(32)}
    claims = door.claims((await door.mint(rgs, **narrow)).tokens[0])
    assert claims["scope"] == "wallet:debit"
    assert claims["exp"] - claims["iat"] == 5
    assert (claims["htm"], claims["htp"], claims["digest"]) == ("POST", "/debit", encoded(bytes(32)))


@pytest.mark.parametrize(
    ("fields", "code", "error"),
    [
        ({"count": 257}, "INVALID_ARGUMENT", "invalid_request"),
        ({"count": 0}, "INVALID_ARGUMENT", "invalid_request"),
        ({"count": 2**32 - 1}, "INVALID_ARGUMENT", "invalid_request"),
        ({"audience": "ledger.api"}, "PERMISSION_DENIED", "invalid_target"),
        ({"audience": ""}, "PERMISSION_DENIED", "invalid_target"),
        ({"scopes": ["wallet:debit", "wallet:admin"]}, "PERMISSION_DENIED", "invalid_scope"),
        ({"scopes": ["wallet:debit wallet:admin"]}, "PERMISSION_DENIED", "invalid_scope"),
        ({"scopes": ["*"]}, "PERMISSION_DENIED", "invalid_scope"),
        ({"lifetime_ms": 300_001}, "INVALID_ARGUMENT", "invalid_request"),
        ({"lifetime_ms": 999}, "INVALID_ARGUMENT", "invalid_request"),
        ({"digest": b"short"}, "INVALID_ARGUMENT", "invalid_request"),
        ({"htp": "no-slash"}, "INVALID_ARGUMENT", "invalid_request"),
        ({"htm": "post"}, "INVALID_ARGUMENT", "invalid_request"),
        ({"binding": 2}, "INVALID_ARGUMENT", "invalid_request"),
        ({"binding": "WORKLOAD"}, "PERMISSION_DENIED", "unauthorized_client"),
        ({"authorization_details": "[{]"}, "PERMISSION_DENIED", "invalid_authorization_details"),
        (
            {"authorization_details": '[{"type": "unheard of"}]'},
            "PERMISSION_DENIED",
            "invalid_authorization_details",
        ),
    ],
)
async def test_what_is_too_wide_is_refused_and_never_trimmed(
    door: Door, rgs: Leaf, fields: dict[str, Any], code: str, error: str
) -> None:
    status, told = await refused(door.mint(rgs, **fields))
    assert (status.name, told) == (code, error)
    assert door.bank.observer.tokens == []
    assert [(each[1].value) for each in door.bank.observer.refusals] == [error]


async def test_nobody_without_a_certificate_shakes_hands(door: Door) -> None:
    status, told = await refused(door.mint(None))
    assert (status, told) == (grpc.StatusCode.UNAVAILABLE, "")
    assert door.bank.observer.refusals == []


async def test_a_certificate_of_another_authority_does_not_shake_hands(door: Door) -> None:
    status, told = await refused(door.mint(Authority("another").leaf("rgs", uris=(RGS,))))
    assert (status, told) == (grpc.StatusCode.UNAVAILABLE, "")


@pytest.mark.parametrize(
    "names",
    [
        {"uris": ("spiffe://bank.example/nobody",)},
        {"uris": (RGS + "/more",)},
        {"uris": (RGS, "spiffe://bank.example/other")},
        {},
        # Two clients at once, one by its SPIFFE ID and one by its DNS name: whose tokens would it be?
        {"uris": (RGS,), "dns": ("batch.bank.example",)},
    ],
)
async def test_a_certificate_that_is_not_one_clients_gets_nothing(door: Door, names: dict[str, Any]) -> None:
    leaf = door.bank.authority.leaf("rgs", **names)
    assert await refused(door.mint(leaf)) == (grpc.StatusCode.UNAUTHENTICATED, "invalid_client")
    assert door.bank.observer.refusals == [(None, OAuthErrorCode.INVALID_CLIENT)]


async def test_one_clients_certificate_gets_nothing_of_anothers(door: Door) -> None:
    batch = door.bank.authority.leaf("batch", dns=("batch.bank.example",))
    answer = await door.mint(batch, audience="ledger.api")
    assert door.claims(answer.tokens[0])["client_id"] == "batch"
    assert await refused(door.mint(batch)) == (grpc.StatusCode.PERMISSION_DENIED, "invalid_target")


async def test_a_connection_that_outlives_its_certificate_gets_nothing(door: Door) -> None:
    """TLS looks at the dates at the handshake; our clock says when it is over."""
    leaf = door.bank.authority.leaf("rgs", uris=(RGS,), not_after=datetime(2040, 1, 1, tzinfo=UTC))
    async with door.channel(leaf) as channel:
        assert len((await door.ask(channel)).tokens) == 1
        door.bank.clock.at_ms = int(datetime(2040, 1, 1, tzinfo=UTC).timestamp() * 1000)
        assert await refused(door.ask(channel)) == (grpc.StatusCode.UNAUTHENTICATED, "invalid_client")


async def test_a_request_larger_than_any_good_one_is_refused(door: Door, rgs: Leaf) -> None:
    status, _ = await refused(door.mint(rgs, authorization_details=" " * 70_000))
    assert status is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_garbage_for_a_message_is_refused(door: Door, rgs: Leaf) -> None:
    async with door.channel(rgs) as channel:
        call: Any = channel.unary_unary(MINT)
        assert await refused(call(b"\xff\xff\xff")) == (grpc.StatusCode.INVALID_ARGUMENT, "invalid_request")


class Broken:
    """A signer whose key cannot be reached, or that has a bug which would tell a secret."""

    kid, algorithm = "k", "EdDSA"

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def sign(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        raise self.error


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (SigningError("vault at 10.0.0.1 is sealed"), "UNAVAILABLE", "temporarily_unavailable"),
        (RuntimeError("the key is hunter2"), "INTERNAL", "server_error"),
    ],
)
async def test_a_key_in_trouble_is_told_without_a_word_about_it(
    door: Door, rgs: Leaf, error: Exception, code: str, told: str
) -> None:
    door.sign_with(Broken(error))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await door.mint(rgs)
    assert caught.value.code().name == code
    everything = repr(caught.value) + repr(caught.value.trailing_metadata())
    assert "hunter2" not in everything
    assert "10.0.0.1" not in everything
    assert told in everything
    assert [each[1].value for each in door.bank.observer.refusals] == [told]


async def test_a_key_that_never_answers_holds_nobody_for_ever(
    door: Door, rgs: Leaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent(Broken):
        async def sign(self, messages: Sequence[bytes]) -> Sequence[bytes]:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(issuer_grpc, "LONGEST_SECONDS", 0.1)
    door.sign_with(Silent(RuntimeError()))
    assert await refused(door.mint(rgs)) == (grpc.StatusCode.UNAVAILABLE, "temporarily_unavailable")


async def test_a_stream_answers_in_order_and_a_refusal_does_not_end_it(door: Door, rgs: Leaf) -> None:
    async with door.channel(rgs) as channel:
        call = stream(channel)()
        for fields in ({"count": 3}, {"audience": "ledger.api"}, {"count": 257}, {"count": 2}):
            await call.write(MintRequest(**GOOD | fields))
        answers = [await call.read() for _ in range(4)]
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK
    assert [answer.WhichOneof("result") for answer in answers] == ["minted", "refused", "refused", "minted"]
    assert [len(answer.minted.tokens) for answer in answers] == [3, 0, 0, 2]
    assert [answer.refused.error for answer in answers[1:3]] == ["invalid_target", "invalid_request"]


async def test_a_stream_of_nobody_known_is_ended(door: Door) -> None:
    async with door.channel(door.bank.authority.leaf("nobody")) as channel:
        call = stream(channel)()
        await call.write(MintRequest(**GOOD))
        assert await refused(call.read()) == (grpc.StatusCode.UNAUTHENTICATED, "invalid_client")


@pytest.mark.parametrize("service", ["minting", "health", "reflection"])
async def test_no_workload_holds_every_place_by_streams_that_say_nothing(
    tmp_path: Path, authority: Authority, rgs: Leaf, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    """Whoever had a certificate of the authority, client or not, could keep all others from minting."""
    monkeypatch.setattr(issuer_grpc_server, "_MAX_CALLS", 8)
    monkeypatch.setattr(issuer_grpc_server, "_MOST_STREAMS", 4)
    evil = [authority.leaf("evil"), authority.leaf("evil")]
    bank = Bank(tmp_path, authority).prepare()
    async with opened(bank) as door, door.channel(evil[0]) as one, door.channel(evil[1]) as two:
        held = [idle(service, channel) for channel in (one, two) for _ in range(4)]
        for ended in asyncio.as_completed([call.code() for call in held], timeout=60):
            assert await ended is grpc.StatusCode.RESOURCE_EXHAUSTED
            if sum(call.done() for call in held) == 4:
                break
        assert (await door.mint(rgs)).tokens


async def test_leaving_ends_idle_streams_at_once(tmp_path: Path, authority: Authority, rgs: Leaf) -> None:
    async with opened(Bank(tmp_path, authority).prepare(), grace=90) as door, door.channel(rgs) as channel:
        call = stream(channel)()
        await call.write(MintRequest(**GOOD))
        assert (await call.read()).minted.tokens
        leaving = asyncio.create_task(door.server.leave())
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK
        await asyncio.wait_for(leaving, 60)  # within its grace: it did not wait for the stream's sake


async def test_rotated_files_serve_new_connections(door: Door, rgs: Leaf) -> None:
    assert (await door.mint(rgs)).tokens
    other = Authority("another")
    other.leaf("issuer", ips=("127.0.0.1",)).write(door.bank.folder, "server")
    (door.bank.folder / "ca.pem").write_bytes(other.pem)
    assert (await refused(door.mint(rgs)))[0] is grpc.StatusCode.UNAVAILABLE
    door.bank.authority = other
    assert (await door.mint(other.leaf("rgs", uris=(RGS,)))).tokens


async def test_health_and_reflection_answer(door: Door, rgs: Leaf) -> None:
    async with door.channel(rgs) as channel:
        asked = health_pb2.HealthCheckRequest(service="ott.issuer.v1.Issuer")
        answer = await health_pb2_grpc.HealthStub(channel).Check(asked)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
        await call.write(reflection_pb2.ServerReflectionRequest(file_containing_symbol="ott.issuer.v1.Issuer"))
        assert (await call.read()).file_descriptor_response.file_descriptor_proto
        await call.done_writing()


async def test_a_taken_address_and_unfit_files_are_told_with_their_setting(door: Door) -> None:
    taken = door.inputs.settings.model_copy(update={"grpc": door.server.address})
    door.inputs = dataclasses.replace(door.inputs, settings=taken)
    with pytest.raises(ListenError, match=r"issuer\.grpc: cannot listen"):
        door.new_server()
    (door.bank.folder / "server-key.pem").write_text("no key")
    with pytest.raises(ListenError, match=r"issuer\.tls: the files cannot be used together"):
        door.new_server()
