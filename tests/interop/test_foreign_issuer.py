"""A user of oidc-provider: its token, exchanged by foreign clients, ends as calls that the Check server accepts."""

import json
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc.aio
import jwt
import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse, DeniedHttpResponse, OkHttpResponse
from envoy.service.auth.v3.external_auth_pb2_grpc import AuthorizationStub

from ott_extauthz.settings import load
from tests.fakes.certificates import Authority, Leaf
from tests.fakes.requests import check_request
from tests.interop.conftest import HERE, Client, RealClock, running
from tests.issuer_bank import Bank
from tests.wire.conftest import served

LOGIN = "https://login.casino.example"
TYPE = "urn:ietf:params:oauth:token-type:"
JACKPOT = "spiffe://casino.example/jackpot"
CLIENTS = f"""
clients:
  - client_id: jackpot
    authentication: tls_client_auth
    certificate: {{spiffe_id: "{JACKPOT}"}}
    audiences:
      wallet.api:
        scopes: ["wallet:credit"]
        tokens: [one_time_token, mandate]
        max_amount: {{value: "500", currency: EUR}}
    delegates_for: [{{issuer: "{LOGIN}", targets: [wallet.api]}}]
"""
SUBJECTS = f"""
  subject_issuers:
    - issuer: {LOGIN}
      jwks: login.json
      algorithms: [ES256]
      audience: https://issuer.bank.example
      token_types: [access_token]
"""
POLICY = f"""
revision: "r1"
routes:
  - name: jackpot-credit
    match: {{hosts: [wallet.api], methods: [POST], path: "/v1/players/{{player}}/credits"}}
    credential: one_time_token
    audience: wallet.api
    bound_to: [certificate]
    scopes: ["wallet:credit"]
    max_auth_age: 5m
    when: token.sub == request.path_params.player && has(token.auth_time) && token.act.sub == "{JACKPOT}"
    amount: {{value: /amount, currency: /currency}}
  - name: jackpot-credit-by-mandate
    match: {{hosts: [wallet.api], methods: [POST], path: "/v1/mandated/{{player}}"}}
    credential: mandate
    audience: wallet.api
    bound_to: [certificate]
    clients: [jackpot]
    scopes: ["wallet:credit"]
    max_auth_age: 5m
    when: >-
      token.sub == request.path_params.player && token.auth_time == timestamp("LOGIN_TIME")
      && token.act.sub == "{JACKPOT}" && token.acr == "urn:bank:high" && "otp" in token.amr
    amount: {{value: /amount, currency: /currency}}
  - name: later-login
    match: {{hosts: [wallet.api], methods: [POST], path: "/v1/later/{{player}}"}}
    credential: mandate
    audience: wallet.api
    when: token.auth_time > timestamp("LOGIN_TIME")
    amount: {{value: /amount, currency: /currency}}
  - name: nobody-acts
    match: {{hosts: [wallet.api], methods: [POST], path: "/v1/alone/{{player}}"}}
    credential: mandate
    audience: wallet.api
    deny_when: has(token.act)
    amount: {{value: /amount, currency: /currency}}
"""


@dataclass(frozen=True)
class Casino:
    """The issuer, the user's tokens, and the Check server in front of the wallet."""

    bank: Bank
    user: dict[str, Any]
    stub: AuthorizationStub
    audit: Path

    async def credit(self, token: str, leaf: Leaf, amount: str, player: str = "player-7") -> str:
        return reason(await self.ask(("x-ott", token), leaf, amount, f"/v1/players/{player}/credits"))

    async def with_mandate(self, mandate: str, leaf: Leaf, amount: str, path: str) -> CheckResponse:
        return await self.ask(("authorization", f"Bearer {mandate}"), leaf, amount, path)

    async def ask(self, credential: tuple[str, str], leaf: Leaf, amount: str, path: str) -> CheckResponse:
        request = check_request(
            path=path,
            headers=[credential, ("content-type", "application/json"), ("x-envoy-auth-partial-body", "false")],
            certificate=quote(leaf.pem.decode(), safe=""),
            principal=JACKPOT,
        )
        request.attributes.request.http.raw_body = json.dumps({"amount": amount, "currency": "EUR"}).encode()
        return await self.stub.Check(request, timeout=30)

    def audited(self, decision_id: str) -> dict[str, Any]:
        files = [path for path in self.audit.rglob("*") if path.is_file()]
        (line,) = [line for path in files for line in path.read_text().splitlines() if decision_id in line]
        found: dict[str, Any] = json.loads(line)
        return found


def reason(response: CheckResponse) -> str:
    shown = headers_of(response.denied_response)
    return "ok" if response.status.code == 0 else shown["x-ott-reason"]


def headers_of(part: OkHttpResponse | DeniedHttpResponse) -> dict[str, str]:
    return {header.header.key: header.header.value for header in part.headers}


def login_of(user: dict[str, Any]) -> int:
    claims = jwt.decode(user["access_token"], options={"verify_signature": False})
    return int(claims["auth_time"])


@pytest.fixture(scope="module")
def user(node: str) -> dict[str, Any]:
    """Let a user log in at oidc-provider; the tokens live for five minutes."""
    job = {
        "issuer": LOGIN,
        "audience": "https://issuer.bank.example",
        "user": "player-7",
        "acr": "urn:bank:high",
        "amr": ["otp", "pwd"],
    }
    command = [node, "--throw-deprecation", str(HERE / "oidc-provider.mjs")]
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
async def casino(tmp_path: Path, authority: Authority, user: dict[str, Any]) -> AsyncIterator[Casino]:
    bank = Bank(tmp_path, authority, clock=RealClock()).prepare()
    (tmp_path / "login.json").write_text(json.dumps(user["jwks"]))
    (tmp_path / "clients.yaml").write_text(CLIENTS)
    (tmp_path / "ott.yaml").write_text(
        "issuer:\n  url: https://issuer.bank.example\n  listen: 127.0.0.1:0\n"
        "  tls: {certificate: server.pem, key: server-key.pem, client_ca: ca.pem}" + SUBJECTS
    )
    authority.leaf("issuer", dns=("issuer.bank.example",)).write(tmp_path, "server")
    login = datetime.fromtimestamp(login_of(user), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    (tmp_path / "policy.yaml").write_text(POLICY.replace("LOGIN_TIME", login))
    async with bank.open():
        assert isinstance(bank.clock, RealClock)
        bank.clock.catch_up()
        (tmp_path / "issuer.json").write_bytes((tmp_path / "keys" / "jwks.json").read_bytes())
        (tmp_path / "check.yaml").write_text(
            "listen: {check: 127.0.0.1:0}\npolicy: policy.yaml\nexpose_reasons: true\naudit: {path: audit}\n"
            f"trust: [{{issuer: {bank.url}, jwks: issuer.json, algorithms: [EdDSA]}}]\n"
            "clock: {iat_lead: 1ms}\ndrain: {wait: 0ms, grace: 200ms}\n"
        )
        socket = f"unix://{tmp_path}/check.sock"
        settings = load(tmp_path / "check.yaml", {})
        async with served(settings, socket), grpc.aio.insecure_channel(f"unix:{tmp_path}/check.sock") as channel:
            yield Casino(bank, user, AuthorizationStub(channel), tmp_path / "audit")


@pytest.fixture(params=["oauth4webapi.mjs", "openid-client.mjs"])
async def exchanger(request: pytest.FixtureRequest, node: str, casino: Casino) -> AsyncIterator[Client]:
    async with running(node, request.param) as program:
        yield Client(program, casino.bank)


async def exchanged(client: Client, leaf: Leaf, token: str, wanted: str, **more: Any) -> dict[str, Any]:
    parameters = {
        "client_id": "jackpot",
        "subject_token": token,
        "subject_token_type": TYPE + "access_token",
        "requested_token_type": TYPE + wanted,
        "audience": "wallet.api",
    }
    job = {"client_id": "jackpot", "parameters": parameters | more}
    (answer,) = (await client.gets("token_exchange", leaf, **job))["tokens"]
    assert answer["issued_token_type"] == TYPE + wanted
    return {**answer, "claims": jwt.decode(answer["access_token"], options={"verify_signature": False})}


async def mandated(client: Client, leaf: Leaf, user: dict[str, Any]) -> dict[str, Any]:
    details = json.dumps([{"type": "mandate", "max_amount": {"value": "50", "currency": "EUR"}}])
    return await exchanged(client, leaf, user["access_token"], "access_token", authorization_details=details)


async def test_a_users_token_becomes_a_mandate_and_then_one_call(
    casino: Casino, exchanger: Client, authority: Authority
) -> None:
    jackpot = authority.leaf("jackpot", uris=(JACKPOT,))
    mandate = await mandated(exchanger, jackpot, casino.user)
    claims = mandate["claims"]
    assert mandate["token_type"] == "bearer"
    assert {name: claims[name] for name in ("sub", "auth_time", "acr", "amr")} == {
        "sub": "player-7",
        "auth_time": login_of(casino.user),
        "acr": "urn:bank:high",
        "amr": ["otp", "pwd"],
    }
    assert claims["act"]["sub"] == JACKPOT
    call = await exchanged(exchanger, jackpot, mandate["access_token"], "jwt")
    token = call["access_token"]
    assert await casino.credit(token, jackpot, "50.01") == "amount_exceeded"
    assert await casino.credit(token, jackpot, "50", player="player-8") == "condition_not_met"
    assert await casino.credit(token, authority.leaf("jackpot", uris=(JACKPOT,)), "50") == "certificate_mismatch"
    assert await casino.credit(token, jackpot, "50") == "ok"
    assert await casino.credit(token, jackpot, "50") == "token_replayed"


async def test_the_mandate_itself_is_accepted_with_the_users_sub_auth_time_and_act(
    casino: Casino, exchanger: Client, authority: Authority
) -> None:
    jackpot = authority.leaf("jackpot", uris=(JACKPOT,))
    mandate = (await mandated(exchanger, jackpot, casino.user))["access_token"]
    for _ in range(2):  # it is no one-time token
        answer = await casino.with_mandate(mandate, jackpot, "50", "/v1/mandated/player-7")
        assert reason(answer) == "ok"
        shown = headers_of(answer.ok_response)
        assert (shown["x-ott-subject"], shown["x-ott-client"], shown["x-ott-actor"]) == ("player-7", "jackpot", JACKPOT)
        assert "authorization" in answer.ok_response.headers_to_remove
        line = casino.audited(shown["x-ott-decision-id"])
        assert {name: line[name] for name in ("outcome", "subject", "client_id", "actor", "scope", "token_state")} == {
            "outcome": "allow",
            "subject": "player-7",
            "client_id": "jackpot",
            "actor": JACKPOT,
            "scope": ["wallet:credit"],
            "token_state": "unspent",
        }


async def test_a_mandate_is_no_use_for_more_or_for_others(
    casino: Casino, exchanger: Client, authority: Authority
) -> None:
    jackpot = authority.leaf("jackpot", uris=(JACKPOT,))
    mandate = (await mandated(exchanger, jackpot, casino.user))["access_token"]
    path = "/v1/mandated/player-7"

    async def answer(path: str = path, amount: str = "50", leaf: Leaf = jackpot) -> str:
        return reason(await casino.with_mandate(mandate, leaf, amount, path))

    assert await answer(amount="50.01") == "amount_exceeded"
    assert await answer("/v1/mandated/player-8") == "condition_not_met"
    assert await answer("/v1/later/player-7") == "condition_not_met"
    assert await answer("/v1/alone/player-7") == "condition_not_met"
    assert await answer("/v1/players/player-7/credits") == "credential_missing"
    assert await answer(leaf=authority.leaf("jackpot", uris=(JACKPOT,))) == "certificate_mismatch"
    assert await answer() == "ok"
    assert await casino.credit(mandate, jackpot, "50") == "token_type_refused"


async def test_what_is_refused_reaches_the_client(casino: Casino, exchanger: Client, authority: Authority) -> None:
    jackpot = authority.leaf("jackpot", uris=(JACKPOT,))
    good = {
        "client_id": "jackpot",
        "subject_token": casino.user["access_token"],
        "subject_token_type": TYPE + "access_token",
        "audience": "wallet.api",
    }
    for change in (
        {"subject_token": casino.user["id_token"], "subject_token_type": TYPE + "id_token"},  # not for us, not allowed
        {"subject_token": casino.user["access_token"][:-6] + "AAAAAA"},
        {"audience": "ledger.api"},
        {"scope": "wallet:admin"},
    ):
        answer = await exchanger.does("token_exchange", jackpot, client_id="jackpot", parameters=good | change)
        assert answer.error is not None
        assert answer.error["oauth"] in ("invalid_request", "invalid_target", "invalid_scope")
