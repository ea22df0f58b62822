"""The introspection client against a real HTTPS server that answers as it should, and in every other way."""

import asyncio
import base64
import gzip
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from secrets import token_bytes
from typing import Any, Final

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization

from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.bootstrap.introspection import Introspectors, new_introspectors
from ott_extauthz.check.introspecting import IntrospectionError, IntrospectionResult
from ott_extauthz.sections.introspection import Introspection
from ott_extauthz.sections.serving import ClockBounds
from ott_extauthz.stores.signing import new_key
from ott_extauthz.wire.introspection_http import HttpIntrospection
from tests.fakes.certificates import Authority
from tests.fakes.introspection import LOGIN, IntrospectionServer, Listening, active, introspection_server

R: Final = IntrospectionResult
TOKEN: Final = "2YotnFZFEjr1zCsicMWpAA+/="
SECRET: Final = "p%:ss +word"
GENEROUS: Final = "10s"

Ask = Callable[..., HttpIntrospection]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[IntrospectionServer]:
    async with introspection_server(tmp_path) as server:
        server.known[TOKEN] = active()
        yield server


@pytest.fixture
async def endpoint(tmp_path: Path, server: IntrospectionServer) -> AsyncIterator[Ask]:
    opened: list[Introspectors] = []
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")

    def open_(**changes: Any) -> HttpIntrospection:
        basic = {"authentication": "client_secret_basic", "secret_file": secret}
        tree = {"issuer": LOGIN, "endpoint": server.url, "ca": tmp_path / "ca.pem", "client_id": "wallet:1"}
        entry = Introspection.model_validate(
            tree | {"timeout": GENEROUS} | ({} if "authentication" in changes else basic) | changes
        )
        made = new_introspectors([entry], ClockBounds(), clock=SystemClock(), entropy=token_bytes, observer=Listening())
        opened.append(made)
        return made.endpoints[0]

    yield open_
    for each in opened:
        await each.aclose()


async def fails(endpoint: HttpIntrospection) -> tuple[IntrospectionResult, str]:
    with pytest.raises(IntrospectionError) as caught:
        await endpoint.ask(TOKEN)
    assert TOKEN not in str(caught.value)
    return caught.value.result, str(caught.value)


async def test_a_question_is_one_form_with_the_token_in_it(server: IntrospectionServer, endpoint: Ask) -> None:
    assert json.loads(await endpoint().ask(TOKEN)) == active()
    [question] = server.questions
    assert question.form == {"token": TOKEN, "token_type_hint": "access_token"}
    assert question.headers["Accept"] == "application/json"
    assert "Cookie" not in question.headers
    assert "?" not in server.url


# --- who we are


async def test_a_secret_goes_encoded_as_the_rfc_says(server: IntrospectionServer, endpoint: Ask) -> None:
    """RFC 6749 §2.3.1: a colon or a percent sign in either part would else be read as another client."""
    await endpoint().ask(TOKEN)
    scheme, _, pair = server.questions[0].headers["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(pair)) == ("Basic", b"wallet%3A1:p%25%3Ass+%2Bword")
    assert SECRET not in repr(endpoint())
    assert SECRET not in repr(await endpoint().client.said())


async def test_a_secret_that_is_rotated_is_used_at_once(
    server: IntrospectionServer, endpoint: Ask, tmp_path: Path
) -> None:
    asking = endpoint()
    await asking.ask(TOKEN)
    for content in ("", "another one"):  # empty in the middle of a rotation
        (tmp_path / "secret").write_text(content)
        await asking.ask(TOKEN)
    sent = [base64.b64decode(question.headers["Authorization"].partition(" ")[2]) for question in server.questions]
    assert [pair.partition(b":")[2] for pair in sent] == [b"p%25%3Ass+%2Bword"] * 2 + [b"another+one"]


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256", "PS256"])
async def test_an_assertion_is_new_for_each_question_and_for_this_issuer(
    server: IntrospectionServer, endpoint: Ask, tmp_path: Path, algorithm: Any
) -> None:
    key = new_key(algorithm)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    asking = endpoint(authentication="private_key_jwt", key=tmp_path / "key.pem", algorithm=algorithm, kid="k-7")
    for _ in range(2):
        await asking.ask(TOKEN)
    seen = set()
    for question in server.questions:
        assert question.form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        assertion = question.form["client_assertion"]
        claims = jwt.decode(assertion, key.public_key(), algorithms=[algorithm], audience=LOGIN)
        assert (claims["iss"], claims["sub"], claims["exp"] - claims["iat"]) == ("wallet:1", "wallet:1", 60)
        assert jwt.get_unverified_header(assertion) == {"alg": algorithm, "kid": "k-7", "typ": "JWT"}
        assert "Authorization" not in question.headers
        seen.add(claims["jti"])
    assert len(seen) == 2


async def test_our_certificate_says_who_we_are(server: IntrospectionServer, endpoint: Ask, tmp_path: Path) -> None:
    authority = Authority()  # the server believes another one
    (tmp_path / "mine.pem").write_bytes(authority.pem)
    certificate, key = authority.leaf("wallet", dns=("wallet.bank.example",)).write(tmp_path, "wallet")
    asking = endpoint(authentication="tls_client_auth", certificate=certificate, key=key)
    assert (await fails(asking))[0] is R.CONNECT
    assert server.questions == []


async def test_a_certificate_that_is_rotated_is_shown_at_once(tmp_path: Path) -> None:
    authority = Authority()
    authority.leaf("before", dns=("wallet.bank.example",)).write(tmp_path, "wallet")
    async with introspection_server(tmp_path, authority=authority) as server:
        entry = Introspection.model_validate(
            {
                "issuer": LOGIN, "endpoint": server.url, "ca": tmp_path / "ca.pem", "client_id": "wallet",
                "authentication": "tls_client_auth", "certificate": tmp_path / "wallet.pem",
                "key": tmp_path / "wallet-key.pem", "timeout": GENEROUS,
            }
        )  # fmt: skip
        made = new_introspectors([entry], ClockBounds(), clock=SystemClock(), entropy=token_bytes, observer=Listening())
        await made.endpoints[0].ask(TOKEN)
        authority.leaf("after", dns=("wallet.bank.example",)).write(tmp_path, "wallet")
        await made.endpoints[0].ask(TOKEN)
        await made.aclose()
    assert [question.peer for question in server.questions] == ["before", "after"]
    assert [question.form["client_id"] for question in server.questions] == ["wallet"] * 2


# --- what comes back


def bytes_of(body: bytes, **headers: str) -> Callable[[web.Request], Any]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, headers={"Content-Type": "application/json"} | headers)

    return answer


def status_of(status: int, **headers: str) -> Callable[[web.Request], Any]:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(active(), status=status, headers=headers)

    return answer


async def cut_short(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
    await response.prepare(request)
    await response.write(json.dumps(active()).encode())
    assert request.transport is not None
    request.transport.close()
    return response


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    while True:
        await response.write(b" " * 8192)


async def page(_: web.Request) -> web.Response:
    return web.Response(text="<html>log in</html>", content_type="text/html")


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (status_of(500), R.FAILED),
        (status_of(503, **{"Retry-After": "3600"}), R.FAILED),
        (status_of(429), R.FAILED),
        (status_of(400), R.REFUSED),
        (status_of(401), R.REFUSED),
        (status_of(204), R.REFUSED),
        (status_of(206), R.REFUSED),
        (page, R.MALFORMED),
        (bytes_of(b" " * 65_537), R.MALFORMED),
        (endless, R.MALFORMED),
        (bytes_of(gzip.compress(json.dumps(active()).encode()), **{"Content-Encoding": "gzip"}), R.MALFORMED),
        (cut_short, R.MALFORMED),
    ],
)
async def test_what_is_no_answer_is_a_fault_and_quotes_nothing(
    server: IntrospectionServer, endpoint: Ask, answer: Any, result: IntrospectionResult
) -> None:
    server.answer = answer
    found, told = await fails(endpoint())
    assert found is result
    assert "player" not in told
    assert "html" not in told


@pytest.mark.parametrize(
    "said", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}", b"\x15\x03\x01\x00"]
)
async def test_what_is_no_http_is_a_fault(endpoint: Ask, said: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as listening:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/introspect"
        result, told = await fails(endpoint(endpoint=url, plain_loopback="accept the risk", ca=None))
    assert result in (R.MALFORMED, R.CONNECT)
    assert "SSH" not in told


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_token_is_taken_nowhere_else(
    server: IntrospectionServer, endpoint: Ask, status: int, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    async with introspection_server(tmp_path / "other") as other:
        server.answer = status_of(status, Location=other.url)
        assert (await fails(endpoint()))[0] is R.REFUSED
        assert other.questions == []


async def test_an_issuer_that_is_slow_is_given_up(server: IntrospectionServer, endpoint: Ask) -> None:
    async def never(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    server.answer = never
    began = time.monotonic()
    assert (await fails(endpoint(timeout="200ms")))[0] is R.TIMEOUT
    assert time.monotonic() - began < 30
    assert len(server.questions) <= 1


async def test_a_server_that_nobody_vouches_for_is_told_nothing(
    server: IntrospectionServer, endpoint: Ask, tmp_path: Path
) -> None:
    (tmp_path / "others.pem").write_bytes(Authority().pem)
    result, told = await fails(endpoint(ca=tmp_path / "others.pem"))
    assert result is R.CONNECT
    assert "certificate" in told or "issuer" in told
    result, _ = await fails(endpoint(endpoint=server.url.replace("127.0.0.1", "localhost")))  # not its name
    assert result is R.CONNECT
    result, _ = await fails(endpoint(endpoint="https://127.0.0.1:1/introspect"))
    assert result is R.CONNECT
    assert server.questions == []


async def test_the_environments_proxy_is_not_asked(
    server: IntrospectionServer, endpoint: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    await endpoint().ask(TOKEN)
    assert len(server.questions) == 1


async def test_cookies_are_not_kept(tmp_path: Path, endpoint: Ask) -> None:
    """By a name: no client keeps the cookies of an address."""
    (tmp_path / "plain").mkdir()
    async with introspection_server(tmp_path / "plain", is_plain=True) as plain:
        plain.answer = status_of(200, **{"Set-Cookie": "session=1; Path=/"})
        named = plain.url.replace("127.0.0.1", "localhost")
        asking = endpoint(endpoint=named, plain_loopback="accept the risk", ca=None)
        for _ in range(2):
            await asking.ask(TOKEN)
    assert len(plain.questions) == 2
    assert all("Cookie" not in question.headers for question in plain.questions)


async def test_a_connection_is_kept_and_one_that_was_closed_costs_nobody_an_answer(
    server: IntrospectionServer, endpoint: Ask
) -> None:
    asking = endpoint()
    for _ in range(3):
        await asking.ask(TOKEN)
    assert len({question.connection for question in server.questions}) == 1
    dropped = 0

    async def drop_first(request: web.Request) -> web.StreamResponse:
        nonlocal dropped
        if not dropped:
            dropped += 1
            assert request.transport is not None
            request.transport.close()
        return web.json_response(active())

    server.answer = drop_first
    assert json.loads(await asking.ask(TOKEN)) == active()
    assert dropped == 1


async def test_an_issuer_that_hangs_up_again_and_again_is_asked_twice_and_no_more(
    server: IntrospectionServer, endpoint: Ask
) -> None:
    async def hang_up(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    server.answer = hang_up
    assert (await fails(endpoint()))[0] is R.CONNECT
    assert len(server.questions) == 2


async def test_plain_http_stays_on_this_machine(tmp_path: Path, endpoint: Ask) -> None:
    (tmp_path / "plain").mkdir()
    async with introspection_server(tmp_path / "plain", is_plain=True) as plain:
        plain.known[TOKEN] = active()
        asking = endpoint(endpoint=plain.url, plain_loopback="accept the risk", ca=None)
        assert json.loads(await asking.ask(TOKEN)) == active()
