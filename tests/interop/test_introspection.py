"""Opaque tokens of oidc-provider, and access tokens of our own issuer, judged by asking whoever issued them."""

import json
import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import grpc.aio
import pytest
from cryptography.hazmat.primitives import serialization
from envoy.service.auth.v3.external_auth_pb2_grpc import AuthorizationStub

from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.order import DEFAULT_RING, MintOrder
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.token import TokenKind
from ott_extauthz.settings import load
from ott_extauthz.stores.signing import PrivateKey, new_key, public_jwk
from tests.fakes.certificates import Authority, Leaf
from tests.fakes.issuing import file_ring
from tests.fakes.requests import check_request
from tests.interop.conftest import WALLET, RealClock, running
from tests.issuer_bank import CLIENTS, Bank
from tests.wire.conftest import served

LOGIN: Final = "https://login.casino.example"
AUDIENCE: Final = "https://wallet.casino.example/api"
SECRET: Final = "wallet:s%cret +1"
POLICY: Final = """
revision: "r1"
routes:
  - name: balance
    match: {hosts: [wallet.api], methods: [GET], path: /balance}
    credential: access_token
    audience: wallet.api
    bound_to: [certificate]
    clients: [rgs]
    issuers: ["ISSUER"]
  - name: credit
    match: {hosts: [wallet.api], methods: [GET], path: /credit}
    credential: access_token
    audience: wallet.api
    scopes: ["wallet:credit"]
    issuers: ["ISSUER"]
"""


@dataclass(frozen=True)
class Wallet:
    """A Check server, and a caller."""

    stub: AuthorizationStub
    leaf: Leaf

    async def asks(self, token: str, path: str = "/balance", leaf: Leaf | None = None) -> str:
        request = check_request(
            method="GET",
            path=path,
            headers=[("authorization", f"Bearer {token}")],
            certificate=quote((leaf or self.leaf).pem.decode(), safe=""),
        )
        answer = await self.stub.Check(request, timeout=30)
        shown = {header.header.key: header.header.value for header in answer.denied_response.headers}
        return "ok" if answer.status.code == 0 else str(shown["x-ott-reason"])


@asynccontextmanager
async def wallet(folder: Path, leaf: Leaf, issuer: str, introspection: str) -> AsyncIterator[Wallet]:
    (folder / "policy.yaml").write_text(POLICY.replace("ISSUER", issuer))
    (folder / "check.yaml").write_text(
        "listen: {check: 127.0.0.1:0}\npolicy: policy.yaml\nexpose_reasons: true\n"
        f"introspection:\n  - {{issuer: '{issuer}', ca: ca.pem, timeout: 10s, {introspection}}}\n"
        "drain: {wait: 0ms, grace: 200ms}\n"
    )
    settings = load(folder / "check.yaml", {})
    async with (
        served(settings, f"unix://{folder}/check.sock"),
        grpc.aio.insecure_channel(f"unix:{folder}/check.sock") as channel,
    ):
        yield Wallet(AuthorizationStub(channel), leaf)


@dataclass(frozen=True)
class Login:
    """oidc-provider at work."""

    folder: Path
    port: int
    key: PrivateKey
    rgs: Leaf

    async def post(self, path: str, client: str, secret: str, **form: str) -> Any:
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        headers = {"Authorization": aiohttp.encode_basic_auth(client, secret)}
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
            session.post(f"https://127.0.0.1:{self.port}{path}", data=form, headers=headers) as answer,
        ):
            assert answer.status == 200, await answer.text()
            return await answer.json() if answer.content_length else None

    async def token(self, **form: str) -> str:
        answer = await self.post("/token", "rgs", "rgs-secret", grant_type="client_credentials", **form)
        return str(answer["access_token"])

    async def revoke(self, token: str) -> None:
        await self.post("/token/revocation", "rgs", "rgs-secret", token=token)

    def asked_by(self, client: str, more: str = "") -> str:
        ways = {
            "signer": "authentication: private_key_jwt, key: signer.pem, algorithm: ES256, kid: signer-1",
        }
        way = ways.get(client, "authentication: client_secret_basic, secret_file: secret")
        # A token that a client got for itself has no subject there.
        return (
            f"endpoint: 'https://127.0.0.1:{self.port}/token/introspection', client_id: {client}, {way}, "
            f"audiences: {{wallet.api: ['{AUDIENCE}']}}, may_lack: [sub], cache: {{active: 0s, inactive: 0s}}{more}"
        )


@pytest.fixture
async def login(tmp_path: Path, node: str, authority: Authority, rgs: Leaf) -> AsyncIterator[Login]:
    key = new_key("ES256")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for name, content in (("signer.pem", pem), ("secret", SECRET.encode()), ("ca.pem", authority.pem)):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_bytes(content)
    leaf = authority.leaf("login", ips=("127.0.0.1",))
    job = {
        "issuer": LOGIN,
        "audience": AUDIENCE,
        "secret": SECRET,
        "jwk": public_jwk(key.public_key(), "ES256") | {"kid": "signer-1"},
        "certificate": rgs.pem.decode(),
        "tls": {"cert": leaf.pem.decode(), "key": leaf.key_pem.decode()},
    }
    async with running(node, "introspection.mjs") as program:
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write(json.dumps(job).encode() + b"\n")
        yield Login(tmp_path, json.loads(await program.stdout.readline())["port"], key, rgs)


@pytest.mark.parametrize("client", ["wallet", "signer"])
async def test_an_opaque_token_of_oidc_provider_is_what_it_says(
    login: Login, authority: Authority, client: str
) -> None:
    async with wallet(login.folder, login.rgs, LOGIN, login.asked_by(client)) as server:
        token = await login.token(scope="wallet:credit")
        assert "." not in token
        for _ in range(2):  # an assertion is taken once: each question has one of its own
            assert await server.asks(token) == "ok"
        assert await server.asks(token, "/credit") == "ok"
        assert await server.asks(await login.token(), "/credit") == "scope_missing"
        thief = authority.leaf("thief", uris=("spiffe://bank.example/thief",))
        assert await server.asks(token, leaf=thief) == "certificate_mismatch"
        assert await server.asks("never-issued") == "token_inactive"
        await login.revoke(token)
        assert await server.asks(token) == "token_inactive"


async def test_an_issuer_that_does_not_know_us_lets_nobody_in(login: Login) -> None:
    token = await login.token()
    async with wallet(login.folder, login.rgs, LOGIN, login.asked_by("stranger")) as server:
        assert await server.asks(token) == "introspection_unavailable"
    (login.folder / "secret").write_text("another")
    async with wallet(login.folder, login.rgs, LOGIN, login.asked_by("wallet")) as server:
        assert await server.asks(token) == "introspection_unavailable"
    async with wallet(login.folder, login.rgs, LOGIN, login.asked_by("signer", ", assertion_audience: x")) as server:
        assert await server.asks(token) == "introspection_unavailable"


async def test_what_the_answer_lacks_is_not_made_up(login: Login) -> None:
    token = await login.token()
    asked = login.asked_by("wallet").replace("may_lack: [sub], ", "")
    async with wallet(login.folder, login.rgs, LOGIN, asked) as server:
        assert await server.asks(token) == "token_claims_invalid"
    asked = login.asked_by("wallet").replace(f"audiences: {{wallet.api: ['{AUDIENCE}']}}, ", "")
    async with wallet(login.folder, login.rgs, LOGIN, asked) as server:
        assert await server.asks(token) == "token_audience_mismatch"


async def minted(bank: Bank, leaf: Leaf, kind: TokenKind) -> str:
    order = MintOrder(
        kind=kind, subject="player-7", client_id="rgs", audience="wallet.api", scope=frozenset(), lifetime_ms=60_000,
        thumbprint=Thumbprint(leaf.sha256),
    )  # fmt: skip
    rings = {DEFAULT_RING: file_ring(bank.folder / "keys")}
    minter = Minter(issuer=bank.url, rings=rings, clock=bank.clock, entropy=secrets.token_bytes)
    return (await minter.mint([order]))[0]


async def test_our_own_issuer_says_active_of_access_tokens_and_never_of_one_time_tokens(
    tmp_path: Path, authority: Authority, rgs: Leaf
) -> None:
    bank = Bank(tmp_path, authority, clock=RealClock()).prepare()
    (tmp_path / "clients.yaml").write_text(CLIENTS.rstrip() + WALLET)
    authority.leaf("asker", dns=("wallet.bank.example",)).write(tmp_path, "asker")
    async with bank.open():
        assert isinstance(bank.clock, RealClock)
        bank.clock.catch_up()
        introspection = (
            f"endpoint: 'https://127.0.0.1:{bank.port}/introspect', client_id: wallet, always: true, "
            "authentication: tls_client_auth, certificate: asker.pem, key: asker-key.pem"
        )
        async with wallet(tmp_path, rgs, bank.url, introspection) as server:
            token = await minted(bank, rgs, TokenKind.ACCESS)
            assert await server.asks(token) == "ok"
            assert await server.asks(await minted(bank, rgs, TokenKind.ONE_TIME)) == "token_inactive"
            assert await server.asks(await minted(bank, rgs, TokenKind.TRANSACTION)) == "token_type_refused"
            assert await server.asks(token[:-6] + "AAAAAA") == "token_inactive"
            assert await server.asks("opaque") == "token_inactive"
