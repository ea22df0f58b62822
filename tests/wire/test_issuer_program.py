"""The issuer as a program: it serves, rotates and leaves; and the same minting at the keys."""

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

import aiohttp
import jwt
import pytest
from aiohttp.http_exceptions import BadHttpMessage

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.bootstrap.client_authentication import warnings_of
from ott_extauthz.bootstrap.issuer import run_issuer
from ott_extauthz.bootstrap.minting import mint_token
from ott_extauthz.client.identity import IdentityFiles
from ott_extauthz.client.opening import open_pool
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.issuer.order import OrderError
from ott_extauthz.ports import TokenWanted
from ott_extauthz.settings import load
from ott_extauthz.wire.http_server import _FaultsByType, serve_http
from ott_extauthz.wire.issuer_tls import RotatingContext
from ott_extauthz.wire.listening import ListenError
from tests.collector import Collector, attributes, collecting
from tests.fakes.certificates import Authority, Leaf
from tests.issuer_bank import CLIENTS, FORM, HEAD, RGS, Bank, build_issuer, raw
from tests.issuer_door import with_grpc

if TYPE_CHECKING:
    from ott_extauthz.observe.standard_error import StandardError


async def test_minting_at_the_keys(bank: Bank, rgs: Leaf) -> None:
    token = await mint_token(
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
        await mint_token(bank.settings, **options)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


_RUN = """
import sys
from pathlib import Path
from ott_extauthz.bootstrap.issuer import run_issuer
from ott_extauthz.ports import TokenWanted
from ott_extauthz.settings import load
sys.exit(run_issuer(load(Path(sys.argv[1]), {})))
"""


@contextlib.asynccontextmanager
async def running(
    bank: Bank, *, warnings: int = 0, **environment: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run the issuer as a program; yields it and the address it says it serves."""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _RUN, bank.folder / "ott.yaml"),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    try:
        assert program.stderr is not None
        for _ in range(warnings):
            told = json.loads(await asyncio.wait_for(program.stderr.readline(), 60))
            assert (told["level"], told["event"]) == ("warning", "issuer")
        line = (await asyncio.wait_for(program.stderr.readline(), 60)).decode()
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
    answer = await asyncio.wait_for(reader.read(), 30)
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
        assert await asyncio.wait_for(program.wait(), 60) == 0


async def test_readiness_tells_of_the_store_and_the_start_of_what_is_weak(
    tmp_path: Path, authority: Authority, free_port: int
) -> None:
    weak = """
  - client_id: jot
    authentication: private_key_jwt
    jwks: keys/jwks.json
    unbound: accept the risk
    audiences: {wallet.api: {scopes: ["wallet:debit"]}}
"""
    bank = Bank(tmp_path, authority, clients=CLIENTS + weak, issuer_settings=f", admin: '127.0.0.1:{free_port}'")
    async with running(bank.prepare(), warnings=2) as (_, _address):
        address = f"http://127.0.0.1:{free_port}/readyz?verbose"
        async with aiohttp.ClientSession() as session, session.get(address) as answer:
            said = await answer.text()
    ready, clients, store = said.splitlines()
    assert (ready, store) == ("ready", "store: memory of this process alone, 0 uses remembered")
    assert clients.startswith(f"clients of {tmp_path}/clients.yaml: in force since ")


def test_trust_domains_that_hold_no_client_of_the_issuer_are_told(tmp_path: Path, authority: Authority) -> None:
    """Who reads that SPIFFE IDs count only where their own domain signed them must not think so of the issuer."""
    bank = Bank(tmp_path, authority).prepare()
    assert warnings_of(bank.inputs(), bank.settings) == []
    with (tmp_path / "ott.yaml").open("a") as settings:
        settings.write("trust_domains: {bank.example: {bundle: bank.pem}}\n")
    [warning] = warnings_of(bank.inputs(), bank.settings)
    assert "trust_domains is the Check server's alone" in warning
    (tmp_path / "clients.yaml").write_text(
        "clients: [{client_id: rgs, authentication: tls_client_auth,"
        f" certificate: {{sha256: '{'ab' * 32}'}}, audiences: {{w: {{scopes: [s]}}}}}}]\n"
    )
    assert warnings_of(bank.inputs(), bank.settings) == []


async def test_the_program_behind_a_proxy_serves_plain_http_on_a_socket(tmp_path: Path, authority: Authority) -> None:
    bank = Bank(tmp_path, authority).prepare()
    (tmp_path / "ott.yaml").write_text(
        f"issuer: {{url: '{bank.url}', listen: 'unix://{tmp_path}/i.sock', client_certificate: {{source: xfcc}}}}\n"
    )
    async with running(bank) as (_, address):
        connector = aiohttp.UnixConnector(address.removeprefix("unix://"))
        async with aiohttp.ClientSession(connector=connector) as session, session.get("http://i/jwks") as answer:
            assert answer.status == 200


async def test_the_program_mints_by_the_batch_where_the_settings_say_so(
    tmp_path: Path, authority: Authority, rgs: Leaf, collector: Collector
) -> None:
    bank = with_grpc(Bank(tmp_path, authority).prepare())
    with (tmp_path / "ott.yaml").open("a") as file:
        file.write(f"tracing: {{endpoint: 'http://{collector.address}', ratio: 1, every: 60s, batch: 4096}}\n")
    async with running(bank) as (program, _):
        assert program.stderr is not None
        line = (await asyncio.wait_for(program.stderr.readline(), 60)).decode()
        assert line.startswith("issuer: serving gRPC on 127.0.0.1:"), line
        files = IdentityFiles(
            certificate=rgs.write(tmp_path, "rgs")[0], key=tmp_path / "rgs-key.pem", ca=tmp_path / "ca.pem"
        )
        async with open_pool(line.split()[-1], files) as pool:
            tokens = await asyncio.gather(*(pool.take(TokenWanted(audience="wallet.api")) for _ in range(200)))
        assert len({token.text for token in tokens}) == 200
        assert collector.spans == []
        program.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(program.wait(), 60) == 0
    assert sum(int(attributes(span)["ott.count"]) for span in collector.named("mint")) >= 200, "sent as it left"
    assert "sign" in collector.children(collector.named("mint")[0])


async def test_a_half_sent_form_does_not_keep_the_program_from_leaving(
    tmp_path: Path, authority: Authority, rgs: Leaf
) -> None:
    bank = Bank(tmp_path, authority).prepare()
    with (tmp_path / "ott.yaml").open("a") as file:
        file.write("drain: {grace: 200ms}\n")
    async with running(bank) as (program, address):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(address.rpartition(":")[2]), ssl=bank.context(rgs)
        )
        writer.write(HEAD + b"Content-Length: 100\r\n\r\ngrant_type=")
        await writer.drain()
        await asyncio.sleep(0.1)
        program.send_signal(signal.SIGINT)
        assert await cut_off(reader), "the form's own time would have ended with an answer"
        assert await asyncio.wait_for(program.wait(), 60) == 0
        writer.transport.abort()


async def cut_off(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(), 60) == b""
    except (ConnectionError, ssl.SSLError):
        return True


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
        said = await asyncio.wait_for(program.stderr.read(), 60)
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
    with pytest.raises(
        ListenError, match=r"^issuer\.listen: cannot listen on 127\.0\.0\.1:\d+: Address already in use$"
    ):
        await serve_http(
            app, f"127.0.0.1:{bank.port}", setting="issuer.listen", context=context, grace=0.2, on_fault=print
        )


def test_tls_files_that_cannot_be_used_keep_the_program_from_starting(tmp_path: Path, authority: Authority) -> None:
    bank = Bank(tmp_path, authority).prepare()
    bank.tls.key.write_bytes(b"nonsense")
    with pytest.raises(DocumentError, match=r"ott\.yaml: issuer\.tls: TLS files"):
        run_issuer(bank.settings, source="ott.yaml")


def test_no_lost_line_is_counted_outside_of_the_event_loop(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finalizer that warns while the counter's lock is held would wait for that lock for ever."""
    log = SimpleNamespace(lost=0)
    monkeypatch.setattr("ott_extauthz.bootstrap.issuer.uvloop.run", lambda serving: serving.close())
    run_issuer(Bank(tmp_path, authority).prepare().settings, log=cast("StandardError", log))
    assert not hasattr(log, "on_lost")


def test_without_an_issuer_there_is_none_to_run(tmp_path: Path) -> None:
    (tmp_path / "ott.yaml").write_text("region: EU\n")
    with pytest.raises(DocumentError, match="issuer: required"):
        run_issuer(load(tmp_path / "ott.yaml", {}))


def test_mistakes_of_the_clients_file_keep_the_program_from_starting(tmp_path: Path, authority: Authority) -> None:
    bank = Bank(tmp_path, authority).prepare()
    (tmp_path / "clients.yaml").write_text(CLIENTS.replace("dns:", "cn:"))
    with pytest.raises(DocumentError, match="unknown key"):
        run_issuer(bank.settings)
