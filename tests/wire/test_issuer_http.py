"""The issuer over real HTTPS with real client certificates: every refusal reached as a client reaches it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import jwt
import pytest

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.nonces import MIN_SECRET_BYTES
from ott_extauthz.wire import issuer_http
from tests.fakes.certificates import Authority, Leaf
from tests.issuer_bank import FORM, FORM_TYPE, HEAD, RGS, Bank, raw


async def test_a_token_bound_to_the_connections_certificate(bank: Bank, rgs: Leaf) -> None:
    answer = await bank.token(rgs, {"scope": "wallet:debit"})
    assert (answer.status, answer.headers["Cache-Control"], answer.headers["Pragma"]) == (200, "no-store", "no-cache")
    token = answer.json.pop("access_token")
    assert {name: value for name, value in answer.json.items() if name != "access_token"} == {
        "token_type": "Bearer",
        "issued_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "expires_in": 45,  # 45.5 s rounded down
        "scope": "wallet:debit",
    }
    keys = jwt.PyJWKSet.from_json((await bank.request("GET", "/jwks", None)).body.decode())
    claims = jwt.decode(
        token,
        keys[jwt.get_unverified_header(token)["kid"]],
        algorithms=["EdDSA"],
        audience="wallet.api",
        issuer=bank.url,
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims["cnf"] == {"x5t#S256": encoded(rgs.sha256)}
    assert (claims["sub"], claims["client_id"], claims["scope"]) == (RGS, "rgs", "wallet:debit")
    assert (claims["iat"], claims["exp"]) == (bank.clock.at_ms / 1000, (bank.clock.at_ms + 45_500) / 1000)
    assert bank.observer.tokens == [("rgs", "wallet.api")]


async def test_no_scope_asked_for_means_all_and_says_so(bank: Bank, rgs: Leaf) -> None:
    assert (await bank.token(rgs)).json["scope"] == "wallet:debit wallet:read"


async def test_one_connection_mints_many_and_none_twice(bank: Bank, rgs: Leaf) -> None:
    async with bank.session(rgs) as session:
        tokens = set()
        for _ in range(20):
            async with session.post("/token", data=FORM) as response:
                tokens.add((await response.json())["access_token"])
    assert len(tokens) == 20


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"grant_type": None}, 400, "invalid_request"),
        ({"client_id": None}, 400, "invalid_request"),
        ({"client_id": ["rgs", "rgs"]}, 400, "invalid_request"),
        ({"scope": ["wallet:debit", "wallet:debit"]}, 400, "invalid_request"),
        ({"client_secret": "hunter2"}, 400, "invalid_request"),
        ({"grant_type": "refresh_token"}, 400, "unsupported_grant_type"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"client_id": "batch"}, 401, "invalid_client"),
        ({"resource": None}, 400, "invalid_target"),
        ({"resource": "ledger.api"}, 400, "invalid_target"),
        ({"resource": ["wallet.api", "ledger.api"]}, 400, "invalid_target"),
        ({"scope": "wallet:debit wallet:admin"}, 400, "invalid_scope"),
    ],
)
async def test_rfc_6749_section_5_2(bank: Bank, rgs: Leaf, changes: dict[str, Any], status: int, error: str) -> None:
    answer = await bank.token(rgs, changes)
    assert answer.error == (status, error)
    authenticated = error in ("invalid_target", "invalid_scope")
    assert bank.observer.refusals == [("rgs" if authenticated else None, error)]
    assert bank.observer.tokens == []


async def test_no_certificate(bank: Bank) -> None:
    assert (await bank.token(None)).error == (401, "invalid_client")


async def test_another_clients_certificate(bank: Bank, authority: Authority) -> None:
    thief = authority.leaf("batch", dns=("batch.bank.example",))
    unknown, wrong = await bank.token(thief, {"client_id": "nobody"}), await bank.token(thief)
    assert wrong.error == (401, "invalid_client")
    assert unknown.body == wrong.body


async def test_a_certificate_in_a_header_is_only_a_header(bank: Bank, rgs: Leaf) -> None:
    forged = {
        "X-Forwarded-Client-Cert": f"Hash={rgs.sha256.hex()};URI={RGS}",
        "Client-Cert": f":{rgs.pem.decode().splitlines()[1]}:",
    }
    assert (await bank.token(None, headers=forged)).error == (401, "invalid_client")


async def test_a_certificate_of_another_authority_gets_no_connection(bank: Bank) -> None:
    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await bank.token(Authority("test root").leaf("rgs", uris=(RGS,)))
    assert bank.observer.refusals == []


async def test_an_expired_certificate_gets_no_connection(bank: Bank, authority: Authority) -> None:
    stale = authority.leaf("rgs", uris=(RGS,), not_after=datetime(2024, 2, 1, tzinfo=UTC))
    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await bank.token(stale)


async def test_a_certificate_that_expires_on_an_open_connection_mints_no_more(bank: Bank, rgs: Leaf) -> None:
    async with bank.session(rgs) as session:
        async with session.post("/token", data=FORM) as response:
            assert response.status == 200
        bank.clock.at_ms = int(datetime(2044, 1, 1, tzinfo=UTC).timestamp() * 1000)
        async with session.post("/token", data=FORM) as response:
            assert response.status == 401


async def test_a_certificate_naming_two_workloads(bank: Bank, authority: Authority) -> None:
    both = authority.leaf("rgs", uris=(RGS, "spiffe://bank.example/admin"))
    assert (await bank.token(both)).error == (401, "invalid_client")


async def test_a_client_known_by_dns_gets_its_id_for_subject(bank: Bank, authority: Authority) -> None:
    batch = authority.leaf("x", dns=("batch.bank.example",))
    answer = await bank.token(batch, {"client_id": "batch", "resource": "ledger.api"})
    claims = jwt.decode(answer.json["access_token"], options={"verify_signature": False})
    assert (claims["sub"], claims["client_id"], claims["exp"] - claims["iat"]) == ("batch", "batch", 30)


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x", "nonsense", ""]
)
async def test_other_content_types(bank: Bank, rgs: Leaf, content_type: str) -> None:
    answer = await bank.token(rgs, urlencode(FORM), {"Content-Type": content_type})
    assert answer.error == (400, "invalid_request")


async def test_a_charset_beside_the_content_type_is_fine(bank: Bank, rgs: Leaf) -> None:
    answer = await bank.token(rgs, headers={"Content-Type": f"{FORM_TYPE}; charset=UTF-8"})
    assert answer.status == 200


async def test_basic_where_it_is_off_proves_nothing_and_is_answered_in_its_scheme(bank: Bank, rgs: Leaf) -> None:
    """RFC 6749 §5.2: whoever tried the Authorization header gets 401 and a challenge of that scheme."""
    answer = await bank.token(rgs, headers={"Authorization": "Basic cmdzOmh1bnRlcjI="})
    assert answer.error == (401, "invalid_client")
    assert answer.headers["WWW-Authenticate"].startswith('Basic realm="')


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"grant_type",
        b"&&",
        urlencode(FORM).encode() + b"&",
        urlencode(FORM).encode() + b"&scope=%ff",
        urlencode(FORM).encode() + b"&scope=\xc3\xa9",
        b"&".join(b"x%d=1" % number for number in range(65)),
    ],
)
async def test_malformed_forms(bank: Bank, rgs: Leaf, body: bytes) -> None:
    assert (await bank.token(rgs, body)).error == (400, "invalid_request")
    assert bank.observer.faults == []


async def test_an_oversized_form(bank: Bank, rgs: Leaf) -> None:
    answer = await bank.token(rgs, {"state": "x" * issuer_http.MAX_FORM_BYTES})
    assert answer.error == (413, "invalid_request")


async def test_an_oversized_form_of_unknown_length(bank: Bank, rgs: Leaf) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * 4096

    with contextlib.suppress(aiohttp.ClientOSError):  # the server may hang up while we still send
        assert (await bank.token(rgs, endless())).error == (413, "invalid_request")
    assert bank.observer.refusals == [(None, "invalid_request")]


async def test_a_compressed_form_is_not_unpacked(bank: Bank, rgs: Leaf) -> None:
    answer = await bank.request("POST", "/token", rgs, data=FORM, compress="deflate")
    assert answer.error == (400, "invalid_request")


async def test_a_form_that_never_ends_does_not_hold_the_connection(
    bank: Bank, rgs: Leaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_http, "_BODY_WITHIN_SECONDS", 0.05)
    assert b" 408 " in await raw(bank, rgs, HEAD + b"Content-Length: 100\r\n\r\n", b"grant_type=")


async def test_broken_chunks_are_the_clients_fault(bank: Bank, rgs: Leaf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_http, "_BODY_WITHIN_SECONDS", 0.2)
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    assert b" 400 " in await raw(bank, rgs, head + b"zz\r\n")
    assert b" 408 " in await raw(bank, rgs, head, b"zz\r\n")  # nothing more is read; see the other parser below
    assert bank.observer.faults == []


async def test_a_client_that_hangs_up_is_no_fault_of_ours(bank: Bank, rgs: Leaf) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", bank.port, ssl=bank.context(rgs))
    writer.write(HEAD + b"Content-Length: 100\r\n\r\ngrant_type=")
    await writer.drain()
    writer.transport.abort()
    await asyncio.sleep(0.1)
    assert bank.observer.faults == []
    assert (await bank.token(rgs)).status == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
async def test_only_post_gets_tokens(bank: Bank, rgs: Leaf, method: str) -> None:
    answer = await bank.request(method, "/token", rgs)
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    if method != "HEAD":
        assert answer.error == (405, "invalid_request")


async def test_parameters_in_the_url_are_not_parameters(bank: Bank, rgs: Leaf) -> None:
    answer = await bank.request("POST", f"/token?{urlencode(FORM)}", rgs, data=b"", headers={"Content-Type": FORM_TYPE})
    assert answer.error == (400, "invalid_request")


async def test_a_stray_path_is_answered_and_not_counted(bank: Bank) -> None:
    assert (await bank.request("GET", "/admin", None)).error == (404, "invalid_request")
    assert bank.observer.refusals == []


async def test_a_fault_of_ours_leaks_nothing(tmp_path: Path, authority: Authority, rgs: Leaf) -> None:
    def broken(count: int) -> bytes:
        if count == MIN_SECRET_BYTES:  # the nonces' secret, before anybody asks
            return bytes(count)
        raise RuntimeError("the private key is 42")

    async with Bank(tmp_path, authority, entropy=broken).prepare().open() as bank:
        answer = await bank.token(rgs)
    assert answer.error == (500, "server_error")
    assert b"42" not in answer.body
    assert (bank.observer.faults, bank.observer.refusals) == (["RuntimeError"], [(None, "server_error")])
    assert bank.observer.tokens == []


async def test_the_key_set_is_for_everybody_and_may_be_cached(bank: Bank) -> None:
    answer = await bank.request("GET", "/jwks", None)
    assert answer.headers["Content-Type"] == "application/jwk-set+json"
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.json == json.loads((bank.folder / "keys" / "jwks.json").read_text())


async def test_no_answer_tells_what_runs_here(bank: Bank) -> None:
    for path in ("/jwks", "/token", "/healthz", "/nowhere"):
        assert "Server" not in (await bank.request("GET", path, None)).headers


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(b"GET /jwks HTTP/1.1\r\n\r\n", id="without-a-host"),
        pytest.param(b"NOT HTTP AT ALL\r\n\r\n", id="not-http"),
        pytest.param(HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", id="two-lengths"),
    ],
)
async def test_not_even_the_answer_to_malformed_http_tells_what_runs_here(bank: Bank, rgs: Leaf, broken: bytes) -> None:
    answer = await raw(bank, rgs, broken)
    assert b" 400 " in answer
    assert b"aiohttp" not in answer
    assert b"python" not in answer.lower()


async def test_health(bank: Bank) -> None:
    answer = await bank.request("GET", "/healthz", None)
    assert (answer.status, answer.body) == (200, b"ok\n")


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("https://issuer.bank.example", ""),
        ("https://issuer.bank.example/", ""),
        ("https://bank.example/sts/one", "/sts/one"),
        ("https://bank.example/sts/", "/sts"),
    ],
)
async def test_metadata_honours_the_issuers_path(tmp_path: Path, authority: Authority, url: str, prefix: str) -> None:
    """RFC 8414 §3.1: the well-known part goes between host and path; `issuer` is repeated letter by letter."""
    async with Bank(tmp_path, authority, url=url).prepare().open() as bank:
        answer = await bank.request("GET", f"/.well-known/oauth-authorization-server{prefix}", None)
        host = url.removesuffix("/").removesuffix(prefix)
        assert answer.json["issuer"] == url
        paths = {"jwks_uri": "/jwks", "token_endpoint": "/token", "introspection_endpoint": "/introspect"}
        for endpoint, path in paths.items():
            method = "GET" if endpoint == "jwks_uri" else "POST"
            assert answer.json[endpoint] == host + prefix + path
            assert (await bank.request(method, prefix + path, None)).status != 404
