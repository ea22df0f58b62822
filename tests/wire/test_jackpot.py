"""The jackpot credits the wallet for a player: from the player's token to a Check of the very call, all of it real."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc.aio
import pytest
from envoy.service.auth.v3.external_auth_pb2_grpc import AuthorizationStub

from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.settings import load
from tests.exchange_bank import TYPE, Casino, claims_of, eur, mandate, name_of, services_of
from tests.fakes.certificates import Authority
from tests.fakes.issuing import SetClock
from tests.fakes.requests import check_request
from tests.wire.conftest import served

POLICY = """
revision: "r1"
routes:
  - name: jackpot-credit
    match: {hosts: [wallet.api], methods: [POST], path: "/v1/{brand}/players/{player}/credits"}
    credential: one_time_token
    audience: wallet.api
    bound_to: [certificate]
    scopes: ["wallet:credit"]
    when: |
      has(token.max_amount) && has(token.auth_time) && token.sub == "player:" + request.path_params.player
      && token.act.sub == "spiffe://casino.example/jackpot"
    brand: {from: {path: brand}}
    amount: {value: /amount, currency: /currency}
"""


@dataclass
class Table:
    """The casino's issuer, and the Check server in front of the wallet."""

    casino: Casino
    stub: AuthorizationStub

    async def credit(self, token: str, amount: str, *, player: str = "u-1", by: str = "jackpot") -> str:
        """Ask for one call to be let through; returns `ok`, or the reason why not."""
        certificate = quote(self.casino.services[by].pem.decode(), safe="")
        request = check_request(
            path=f"/v1/aurora/players/{player}/credits",
            headers=[("x-ott", token), ("content-type", "application/json"), ("x-envoy-auth-partial-body", "false")],
            certificate=certificate,
            principal=name_of(by),
        )
        request.attributes.request.http.raw_body = json.dumps({"amount": amount, "currency": "EUR"}).encode()
        response = await self.stub.Check(request, timeout=5)
        if response.status.code == 0:
            return "ok"
        shown = {header.header.key: header.header.value for header in response.denied_response.headers}
        return str(shown["x-ott-reason"])

    def now(self) -> None:
        """Set the issuer's clock, which stands still, to the Check server's, which does not."""
        self.casino.clock.at_ms = SystemClock().now_ms()


@pytest.fixture
async def table(tmp_path: Path, authority: Authority) -> AsyncIterator[Table]:
    clock = SetClock(SystemClock().now_ms())
    casino = Casino(tmp_path, authority, clock=clock, services=services_of(authority)).prepare()
    async with casino.open():
        (tmp_path / "issuer.json").write_bytes((await casino.request("GET", "/jwks", None)).body)
        (tmp_path / "policy.yaml").write_text(POLICY)
        (tmp_path / "check.yaml").write_text(
            "listen: {check: 127.0.0.1:0}\npolicy: policy.yaml\nexpose_reasons: true\n"
            f"trust: [{{issuer: {casino.url}, jwks: issuer.json, algorithms: [EdDSA]}}]\n"
            "clock: {iat_lead: 1ms}\ndrain: {wait: 0ms, grace: 200ms}\n"
        )
        settings = load(tmp_path / "check.yaml", {})
        socket = f"unix://{tmp_path}/check.sock"
        async with served(settings, socket), grpc.aio.insecure_channel(f"unix:{tmp_path}/check.sock") as channel:
            yield Table(casino, AuthorizationStub(channel))


async def test_from_the_players_token_to_one_credit_within_the_mandate(table: Table) -> None:
    casino = table.casino
    player = casino.user(auth_time=casino.clock.at_ms // 1000 - 90)
    asked: dict[str, Any] = {"authorization_details": [mandate(max_amount=eur("250.00"), brand="aurora")]}
    access = {"requested_token_type": TYPE + "access_token"}
    above: dict[str, Any] = {"authorization_details": [mandate(max_amount=eur("5000.01"), brand="aurora")]}
    assert (await casino.exchange(subject_token=player, **access, **above)).error[1] == "invalid_authorization_details"
    narrow = await casino.mandate_of(subject_token=player, scope="wallet:credit", **asked)
    claims = claims_of(narrow)
    assert (claims["sub"], claims["exp"] - claims["iat"]) == ("player:u-1", pytest.approx(120, abs=0.01))

    async def one_time() -> str:
        table.now()  # after the used-list's start, by several round trips
        return str((await casino.exchange(token=narrow)).json["access_token"])

    token = await one_time()
    assert await table.credit(token, "250.01") == "amount_exceeded"
    assert await table.credit(token, "250.00", player="u-2") == "condition_not_met"
    assert await table.credit(token, "250.00", by="rival") == "certificate_mismatch"
    assert await table.credit(token, "250.00") == "ok"  # none of the refusals has cost it
    assert await table.credit(token, "250.00") == "token_replayed"
    assert await table.credit(await one_time(), "0.01") == "ok"
    assert await table.credit(narrow, "0.01") == "token_type_refused"  # a mandate is no one-time token
