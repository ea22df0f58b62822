"""A real Check server in this process, on both transports, with a real client; files and all."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc.aio
import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from envoy.service.auth.v3.external_auth_pb2_grpc import AuthorizationStub

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.bootstrap.check_server import CheckApp, build
from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.demo.pki import Authority, Identity
from ott_extauthz.observe.log import new_logger
from ott_extauthz.settings import Settings, load
from tests.fakes import certificates
from tests.fakes.issuer import FakeIssuer
from tests.fakes.requests import check_request
from tests.issuer_bank import RGS, Bank
from tests.issuer_door import Door, opened

POLICY = """
revision: "r1"
routes:
  - name: wallet-debit
    match: {hosts: [wallet.api], methods: [POST], path: "/v1/wallets/{wallet}/debit"}
    credential: one_time_token
    audience: wallet.api
    scopes: ["wallet:debit"]
  - name: health
    match: {methods: [GET], path: /healthz}
    credential: public
"""


@dataclass
class Desk:
    """A served Check API and what a test needs to use it."""

    app: CheckApp
    channel: grpc.aio.Channel
    issuer: FakeIssuer
    identity: Identity
    count: int = 0

    def token(self, **changes: Any) -> str:
        self.count += 1
        claims = {"jti": f"{self.count:022d}", "cnf": {"x5t#S256": encoded(self.identity.thumbprint)}} | changes
        return self.issuer.token(self.issuer.claims(SystemClock().now_ms(), **claims))

    def request(self, *headers: tuple[str, str | bytes], **changes: Any) -> CheckRequest:
        certificate = quote(self.identity.certificate_pem.decode(), safe="")
        return check_request(headers=headers, **({"certificate": certificate} | changes))

    async def check(self, request: CheckRequest, timeout: float = 5) -> CheckResponse:
        response: CheckResponse = await AuthorizationStub(self.channel).Check(request, timeout=timeout)
        return response


Configure = Callable[[str, str], Settings]


@pytest.fixture
def configured(tmp_path: Path) -> Configure:
    """Write ott.yaml, policy.yaml and the key set; returns the settings."""

    def configure(transport: str, more: str = "") -> Settings:
        (tmp_path / "jwks.json").write_bytes(FakeIssuer().jwks())
        (tmp_path / "policy.yaml").write_text(POLICY)
        (tmp_path / "ott.yaml").write_text(
            f"listen: {{check: 127.0.0.1:0, transport: {transport}}}\npolicy: policy.yaml\n"
            f"trust: [{{issuer: {FakeIssuer().issuer}, jwks: jwks.json, algorithms: [EdDSA]}}]\n"
            f"clock: {{iat_lead: 1ms}}\ndrain: {{wait: 0ms, grace: 200ms}}\n{more}"
        )
        return load(tmp_path / "ott.yaml", {})

    return configure


@asynccontextmanager
async def served(settings: Settings, address: str) -> AsyncIterator[CheckApp]:
    """Serve until the block ends."""
    app = build(settings, check_inputs(settings, "ott.yaml"), address=address, logger=new_logger("error"))
    await app.used_list.start()
    await app.server.start()
    try:
        yield app
    finally:
        if app.server.is_serving:
            await app.server.leave()
        await app.introspectors.aclose()
        await app.used_list.close()
        app.audit.close()
        if app.tracer is not None:
            await app.tracer.aclose()


@pytest.fixture(params=["native", "grpcio"])
async def desk(request: pytest.FixtureRequest, configured: Configure, tmp_path: Path) -> AsyncIterator[Desk]:
    settings = configured(request.param, f"audit: {{path: {tmp_path}/audit}}\n")
    socket = f"unix://{tmp_path}/check.sock"
    identity = Authority("test").issue("rgs", uri="spiffe://bank.example/rgs")
    async with served(settings, socket) as app, grpc.aio.insecure_channel(f"unix:{tmp_path}/check.sock") as channel:
        await asyncio.sleep(0.01)  # past the fence of a list that was just made
        yield Desk(app, channel, FakeIssuer(), identity)


@pytest.fixture(scope="session")
def authority() -> certificates.Authority:
    return certificates.Authority()


@pytest.fixture(scope="session")
def rgs(authority: certificates.Authority) -> certificates.Leaf:
    return authority.leaf("rgs", uris=(RGS,))


@pytest.fixture
async def bank(tmp_path: Path, authority: certificates.Authority) -> AsyncIterator[Bank]:
    async with Bank(tmp_path, authority).prepare().open() as opened:
        yield opened


@pytest.fixture
async def door(tmp_path: Path, authority: certificates.Authority) -> AsyncIterator[Door]:
    async with opened(Bank(tmp_path, authority).prepare()) as found:
        yield found
