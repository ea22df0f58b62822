"""The issuer over real HTTPS with real client certificates: every refusal reached as a client reaches it."""

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import jwt
import pytest
from aiohttp.http_exceptions import BadHttpMessage

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.bootstrap.issuer import build_issuer, mint_token, run_issuer
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.issuer.minter import OrderError
from ott_extauthz.ports import Entropy
from ott_extauthz.settings import Settings, load
from ott_extauthz.stores.key_files import init_keys
from ott_extauthz.wire import issuer_http
from ott_extauthz.wire.http_server import _FaultsByType, serve_http
from ott_extauthz.wire.issuer_tls import RotatingContext, TlsFiles, TlsFilesError
from tests.fakes.certificates import Authority, Leaf, client_context
from tests.fakes.issuing import Remembering, SetClock

RGS = "spiffe://bank.example/rgs"
CLIENTS = f"""
clients:
  - client_id: rgs
    authentication: tls_client_auth
    certificate: {{spiffe_id: "{RGS}"}}
    audiences:
      wallet.api: {{scopes: ["wallet:debit", "wallet:read"], lifetime: 45500ms}}
  - client_id: batch
    authentication: tls_client_auth
    certificate: {{dns: batch.bank.example}}
    audiences: {{ledger.api: {{scopes: ["ledger:write"]}}}}
"""
FORM = {"grant_type": "client_credentials", "client_id": "rgs", "resource": "wallet.api"}
FORM_TYPE = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str]:
        assert self.headers["Cache-Control"] == "no-store"
        assert self.headers["Content-Type"].startswith("application/json")
        assert set(self.json) == {"error", "error_description"}
        return self.status, self.json["error"]


@dataclass
class Bank:
    """A folder with everything an issuer needs, and the clients that call it."""

    folder: Path
    authority: Authority = field(default_factory=Authority)
    clock: SetClock = field(default_factory=SetClock)
    observer: Remembering = field(default_factory=Remembering)
    entropy: Entropy = secrets.token_bytes
    url: str = "https://issuer.bank.example"
    port: int = 0

    def prepare(self) -> "Bank":
        self.authority.leaf("issuer", ips=("127.0.0.1",)).write(self.folder, "server")
        (self.folder / "ca.pem").write_bytes(self.authority.pem)
        (self.folder / "clients.yaml").write_text(CLIENTS)
        init_keys(self.folder / "keys", now_ms=self.clock.at_ms)
        (self.folder / "ott.yaml").write_text(
            f"issuer: {{url: '{self.url}', listen: '127.0.0.1:0', "
            "tls: {certificate: server.pem, key: server-key.pem, client_ca: ca.pem}}\n"
        )
        return self

    @property
    def settings(self) -> Settings:
        return load(self.folder / "ott.yaml", {})

    @property
    def tls(self) -> TlsFiles:
        return TlsFiles(
            certificate=self.folder / "server.pem",
            key=self.folder / "server-key.pem",
            client_ca=self.folder / "ca.pem",
        )

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Bank"]:
        app = build_issuer(self.settings, clock=self.clock, entropy=self.entropy, observer=self.observer)
        context = RotatingContext(self.tls, on_fault=self.observer.faulted)
        runner = await serve_http(app, "127.0.0.1:0", context=context, grace=0.2, on_fault=self.observer.faulted)
        self.port = runner.addresses[0][1]
        yield self
        await runner.cleanup()

    def context(self, leaf: Leaf | None) -> ssl.SSLContext:
        return client_context(self.authority.pem, leaf.write(self.folder, "client") if leaf else None)

    def session(self, leaf: Leaf | None) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            f"https://127.0.0.1:{self.port}", connector=aiohttp.TCPConnector(ssl=self.context(leaf))
        )

    async def request(self, method: str, path: str, leaf: Leaf | None, **options: Any) -> Answer:
        async with self.session(leaf) as session, session.request(method, path, **options) as response:
            return Answer(response.status, response.headers, await response.read())

    async def token(self, leaf: Leaf | None, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a form; ``body`` is a whole one, or changes to a good one where None leaves a field out."""
        if body is None or isinstance(body, dict):
            fields: dict[str, Any] = FORM | (body or {})
            body = urlencode([(name, value) for name, value in fields.items() if value is not None], doseq=True)
        headers = {"Content-Type": FORM_TYPE} | dict(headers or {})
        return await self.request(
            "POST", "/token", leaf, data=body, headers=headers, skip_auto_headers=["Content-Type"]
        )


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def rgs(authority: Authority) -> Leaf:
    return authority.leaf("rgs", uris=(RGS,))


@pytest.fixture
async def bank(tmp_path: Path, authority: Authority) -> AsyncIterator[Bank]:
    async with Bank(tmp_path, authority).prepare().open() as opened:
        yield opened


async def test_a_token_bound_to_the_connections_certificate(bank: Bank, rgs: Leaf) -> None:
    answer = await bank.token(rgs, {"scope": "wallet:debit"})
    assert (answer.status, answer.headers["Cache-Control"], answer.headers["Pragma"]) == (200, "no-store", "no-cache")
    token = answer.json.pop("access_token")
    assert {name: value for name, value in answer.json.items() if name != "access_token"} == {
        "token_type": "N_A",
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


async def test_an_authorization_header_is_a_second_mechanism(bank: Bank, rgs: Leaf) -> None:
    answer = await bank.token(rgs, headers={"Authorization": "Basic cmdzOmh1bnRlcjI="})
    assert answer.error == (400, "invalid_request")


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


async def raw(bank: Bank, leaf: Leaf, *pieces: bytes) -> bytes:
    """Send the pieces one by one, so that each arrives by itself; return the first answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", bank.port, ssl=bank.context(leaf))
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.05)
    answer = await asyncio.wait_for(reader.read(4096), 5)
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()
    return answer


HEAD = f"POST /token HTTP/1.1\r\nHost: issuer\r\nContent-Type: {FORM_TYPE}\r\n".encode()


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
    def broken(_: int) -> bytes:
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
        assert answer.json == {
            "issuer": url,
            "token_endpoint": f"{host}{prefix}/token",
            "jwks_uri": f"{host}{prefix}/jwks",
            "response_types_supported": [],
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["tls_client_auth"],
            "tls_client_certificate_bound_access_tokens": True,
        }
        for endpoint, method in (("jwks_uri", "GET"), ("token_endpoint", "POST")):
            path = answer.json[endpoint].removeprefix(host)
            assert (await bank.request(method, path, None)).status != 404


async def served_certificate(bank: Bank, leaf: Leaf | None = None) -> bytes | None:
    _, writer = await asyncio.open_connection("127.0.0.1", bank.port, ssl=bank.context(leaf))
    certificate: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return certificate


async def test_a_renewed_server_certificate_serves_the_next_connection(bank: Bank, authority: Authority) -> None:
    renewed = authority.leaf("issuer", ips=("127.0.0.1",))
    assert await served_certificate(bank) != renewed.der
    renewed.write(bank.folder, "server")
    assert await served_certificate(bank) == renewed.der


async def test_an_authority_taken_out_of_the_file_is_trusted_no_more(bank: Bank, rgs: Leaf) -> None:
    assert (await bank.token(rgs)).status == 200
    (bank.folder / "ca.pem").write_bytes(Authority("successor").pem)
    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await bank.token(rgs)


async def test_a_rotation_caught_halfway_keeps_the_pair_that_works(bank: Bank, authority: Authority, rgs: Leaf) -> None:
    before, renewed = await served_certificate(bank), authority.leaf("issuer", ips=("127.0.0.1",))
    bank.tls.certificate.write_bytes(renewed.pem)
    assert await served_certificate(bank) == before
    assert (await bank.token(rgs)).status == 200
    assert bank.observer.faults == ["TlsFilesError"]
    bank.tls.key.write_bytes(renewed.key_pem)
    assert await served_certificate(bank) == renewed.der


async def test_tls_below_1_2_and_tickets_are_off(bank: Bank) -> None:
    context = RotatingContext(bank.tls, on_fault=bank.observer.faulted)._current
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.num_tickets == 0
    assert ssl.OP_NO_TICKET in context.options
    assert context.verify_mode is ssl.CERT_OPTIONAL


@pytest.mark.parametrize("name", ["server.pem", "server-key.pem", "ca.pem"])
@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
async def test_tls_files_that_cannot_be_used_are_named(bank: Bank, name: str, content: bytes | None) -> None:
    path = bank.folder / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(TlsFilesError, match=str(path)):
        RotatingContext(bank.tls, on_fault=bank.observer.faulted)


async def test_everything_missing_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "ott.yaml").write_text("issuer: {url: 'https://issuer.bank.example'}\n")
    with pytest.raises(DocumentError) as caught:
        build_issuer(
            load(tmp_path / "ott.yaml", {}),
            clock=SetClock(),
            entropy=secrets.token_bytes,
            observer=Remembering(),
            source="ott.yaml",
        )
    said = str(caught.value)
    assert [
        part
        for part in ("ott.yaml: issuer.tls: required", "clients.yaml: cannot be", "ring.json: is missing")
        if part not in said
    ] == []


async def test_minting_at_the_keys(bank: Bank, rgs: Leaf) -> None:
    token = mint_token(
        bank.settings,
        audience="wallet.api",
        client_id="rgs",
        scope=frozenset({"wallet:debit"}),
        certificate_pem=rgs.pem,
        lifetime_ms=1000,
        clock=bank.clock,
    )
    keys = jwt.PyJWKSet.from_json((bank.folder / "keys" / "jwks.json").read_text())
    options: Any = {"verify_exp": False, "verify_iat": False, "verify_aud": False}
    claims = jwt.decode(token, keys.keys[0], algorithms=["EdDSA"], options=options)
    assert (claims["sub"], claims["cnf"]) == (RGS, {"x5t#S256": encoded(rgs.sha256)})
    assert claims["exp"] - claims["iat"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"certificate_pem": b"nonsense"},
        {"certificate_pem": Authority().leaf(uris=("spiffe://b/x", "spiffe://b/y")).pem},
        {"audience": ""},
        {"lifetime_ms": 300_001},
        {"scope": frozenset({"a b"})},
    ],
)
async def test_minting_at_the_keys_has_the_same_bounds(bank: Bank, change: dict[str, Any]) -> None:
    options: dict[str, Any] = {"audience": "wallet.api", "client_id": "rgs", "scope": frozenset()} | change
    with pytest.raises(OrderError):
        mint_token(bank.settings, **options)


_RUN = """
import sys
from pathlib import Path
from ott_extauthz.bootstrap.issuer import run_issuer
from ott_extauthz.settings import load
sys.exit(run_issuer(load(Path(sys.argv[1]), {})))
"""


@contextlib.asynccontextmanager
async def running(bank: Bank, **environment: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run the issuer as a program; yields it and the address it says it serves."""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _RUN, bank.folder / "ott.yaml"),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    try:
        assert program.stderr is not None
        line = (await asyncio.wait_for(program.stderr.readline(), 15)).decode()
        assert line.startswith("issuer: serving "), line
        yield program, line.split()[-1]
    finally:
        if program.returncode is None:
            program.kill()
        await program.communicate()


async def exchange(bank: Bank, address: str, leaf: Leaf | None, request: bytes) -> tuple[bytes, bytes]:
    """Send one request; returns the server's certificate and its answer."""
    options: Any = {"ssl": bank.context(leaf), "server_hostname": "127.0.0.1"}
    if address.startswith("unix://"):
        reader, writer = await asyncio.open_unix_connection(address.removeprefix("unix://"), **options)
    else:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]), **options)
    writer.write(request)
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return certificate, answer


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "unix://{}/issuer.sock"])
async def test_the_program_on_uvloop_serves_rotates_and_leaves(
    tmp_path: Path, authority: Authority, rgs: Leaf, listen: str
) -> None:
    bank = Bank(tmp_path, authority).prepare()
    written = (tmp_path / "ott.yaml").read_text().replace("127.0.0.1:0", listen.format(tmp_path))
    (tmp_path / "ott.yaml").write_text(written)
    body = urlencode(FORM).encode()
    ask = HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    async with running(bank) as (program, address):
        old, answer = await exchange(bank, address, rgs, ask)
        assert answer.startswith(b"HTTP/1.1 200 ")
        renewed = authority.leaf("issuer", ips=("127.0.0.1",))
        renewed.write(tmp_path, "server")
        new, answer = await exchange(bank, address, None, ask)
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert (old != new, new) == (True, renewed.der)
        program.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(program.wait(), 3) == 0


async def test_a_half_sent_form_does_not_keep_the_program_from_leaving(
    tmp_path: Path, authority: Authority, rgs: Leaf
) -> None:
    bank = Bank(tmp_path, authority).prepare()
    with (tmp_path / "ott.yaml").open("a") as file:
        file.write("drain: {grace: 200ms}\n")
    async with running(bank) as (program, address):
        _, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]), ssl=bank.context(rgs))
        writer.write(HEAD + b"Content-Length: 100\r\n\r\ngrant_type=")
        await writer.drain()
        await asyncio.sleep(0.1)
        program.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(program.wait(), 3) == 0
        writer.transport.abort()


@pytest.mark.parametrize("without_extensions", ["", "1"])
async def test_malformed_http_is_refused_and_quoted_in_no_log(
    tmp_path: Path, authority: Authority, rgs: Leaf, without_extensions: str
) -> None:
    """aiohttp logs the very bytes it could not read, and those may hold a credential."""
    bank = Bank(tmp_path, authority).prepare()
    broken_header = b"POST /token HTTP/1.1\r\nHost: issuer\r\nAuthorization: Bearer s3\0cret\r\n\r\n"
    async with running(bank, AIOHTTP_NO_EXTENSIONS=without_extensions) as (program, address):
        bank.port = int(address.rpartition(":")[2])
        assert b" 400 " in await raw(bank, rgs, broken_header)
        head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
        assert b" 400 " in await raw(bank, rgs, head + b"s3cret\r\n")
        if without_extensions:  # the other parser waits for better chunks, until the form takes too long
            assert b'"invalid_request"' in await raw(bank, rgs, head, b"s3cret\r\n")
        program.send_signal(signal.SIGTERM)
        assert program.stderr is not None
        said = await asyncio.wait_for(program.stderr.read(), 5)
    assert all(json.loads(line)["event"] == "token refused" for line in said.splitlines())
    assert b"s3" not in said


async def test_a_fault_inside_aiohttp_is_told_by_type(bank: Bank) -> None:
    handler = _FaultsByType(bank.observer.faulted)
    for error in (KeyError("s3cret"), BadHttpMessage("s3cret"), None):
        information = None if error is None else (type(error), error, None)
        handler.handle(logging.LogRecord("issuer", logging.ERROR, "", 0, "s3cret", None, information))
    assert bank.observer.faults == ["KeyError", "HTTPServerError"]


async def test_an_address_in_use_is_told_and_nothing_is_left_open(bank: Bank) -> None:
    app = build_issuer(bank.settings, clock=bank.clock, entropy=secrets.token_bytes, observer=bank.observer)
    context = RotatingContext(bank.tls, on_fault=bank.observer.faulted)
    with pytest.raises(OSError, match="in use"):
        await serve_http(app, f"127.0.0.1:{bank.port}", context=context, grace=0.2, on_fault=print)


def test_tls_files_that_cannot_be_used_keep_the_program_from_starting(tmp_path: Path, authority: Authority) -> None:
    bank = Bank(tmp_path, authority).prepare()
    bank.tls.key.write_bytes(b"nonsense")
    with pytest.raises(DocumentError, match=r"ott\.yaml: issuer\.tls: TLS files"):
        run_issuer(bank.settings, source="ott.yaml")


def test_without_an_issuer_there_is_none_to_run(tmp_path: Path) -> None:
    (tmp_path / "ott.yaml").write_text("region: EU\n")
    with pytest.raises(DocumentError, match="issuer: required"):
        run_issuer(load(tmp_path / "ott.yaml", {}))


def test_mistakes_of_the_clients_file_keep_the_program_from_starting(tmp_path: Path, authority: Authority) -> None:
    bank = Bank(tmp_path, authority).prepare()
    (tmp_path / "clients.yaml").write_text(CLIENTS.replace("dns:", "cn:"))
    with pytest.raises(DocumentError, match="unknown key"):
        run_issuer(bank.settings)
