"""A casino's issuer over real HTTPS: users of a login, services that act for them, and one that would like to."""

import json
from dataclasses import dataclass, field
from typing import Any

from ott_extauthz.authn.base64url import decoded
from tests.fakes.certificates import Authority, Leaf
from tests.fakes.issuer import FakeIssuer
from tests.issuer_bank import Answer, Bank

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
TYPE = "urn:ietf:params:oauth:token-type:"
LOGIN = FakeIssuer("https://login.example", "login-1", b"\2" * 32)
PARTNER = FakeIssuer("https://partner.example", "partner-1", b"\3" * 32)
STRANGER = FakeIssuer("https://stranger.example", "login-1", b"\4" * 32)
SERVICES = ("jackpot", "wallet", "rival", "gateway")
CLIENTS = """
clients:
  - client_id: jackpot
    authentication: tls_client_auth
    certificate: {spiffe_id: "spiffe://casino.example/jackpot"}
    audiences:
      wallet.api:
        scopes: ["wallet:credit"]
        tokens: [one_time_token, mandate]
        max_amount: {value: "5000", currency: EUR}
        brands: [aurora, borealis]
      open.api: {scopes: ["wallet:credit", "wallet:read"], tokens: [access_token, one_time_token]}
      quiet.api: {scopes: ["wallet:credit"], tokens: [access_token], impersonates: true}
      casino.example: {scopes: ["wallet:credit"], tokens: [transaction_token]}
      annex.example: {scopes: ["wallet:credit"], tokens: [transaction_token]}
    delegates_for:
      - {client: jackpot, targets: [annex.example]}
      - {issuer: "https://login.example", targets: [wallet.api, open.api, quiet.api, casino.example]}
      - {issuer: "https://partner.example", subjects: [u-1, u-2], targets: [open.api]}
  - client_id: wallet
    authentication: tls_client_auth
    certificate: {spiffe_id: "spiffe://casino.example/wallet"}
    is_audience: [wallet.api, open.api, casino.example]
    audiences:
      ledger.api: {scopes: ["wallet:credit", "ledger:write"], tokens: [one_time_token, access_token]}
      casino.example: {scopes: ["wallet:credit"], tokens: [transaction_token]}
    delegates_for:
      - {client: jackpot, targets: [ledger.api, casino.example]}
  - client_id: rival
    authentication: tls_client_auth
    certificate: {spiffe_id: "spiffe://casino.example/rival"}
    audiences:
      wallet.api: {scopes: ["wallet:credit"], tokens: [one_time_token, mandate, access_token]}
      ledger.api: {scopes: ["ledger:write"], tokens: [mandate]}
      casino.example: {scopes: ["wallet:credit"], tokens: [transaction_token]}
    delegates_for:
      - {client: jackpot, targets: [wallet.api, casino.example]}
  - client_id: gateway
    authentication: tls_client_auth
    certificate: {spiffe_id: "spiffe://casino.example/gateway"}
    audiences:
      open.api: {scopes: ["wallet:credit"], tokens: [access_token], rate_limit: {count: 5, per: 1m}}
"""
SETTINGS = """
issuer:
  url: https://issuer.bank.example
  listen: 127.0.0.1:0
  tls: {certificate: server.pem, key: server-key.pem, client_ca: ca.pem}
  trust_domains: [casino.example, annex.example]
  subject_issuers:
    - issuer: https://login.example
      jwks: login.json
      algorithms: [EdDSA]
      audience: casino
      token_types: [id_token, access_token]
      limits_scope: false
      subject_prefix: "player:"
    - issuer: https://partner.example
      jwks: partner.json
      algorithms: [EdDSA]
      audience: casino
      token_types: [access_token, jwt]
      subject_prefix: "partner:"
"""


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(decoded(token.split(".")[1]) or b"")
    return claims


def name_of(service: str) -> str:
    return f"spiffe://casino.example/{service}"


def eur(value: str) -> dict[str, str]:
    return {"value": value, "currency": "EUR"}


def mandate(**members: Any) -> dict[str, Any]:
    return {"type": "mandate", **members}


@dataclass
class Casino(Bank):
    """A bank whose clients exchange tokens."""

    services: dict[str, Leaf] = field(default_factory=dict)
    clients: str = CLIENTS

    def prepare(self) -> "Casino":
        super().prepare()
        (self.folder / "clients.yaml").write_text(self.clients)
        (self.folder / "ott.yaml").write_text(SETTINGS)
        (self.folder / "login.json").write_bytes(LOGIN.jwks())
        (self.folder / "partner.json").write_bytes(PARTNER.jwks())
        return self

    def user(self, issuer: FakeIssuer = LOGIN, *, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """A user's token as its issuer makes it; a change to None leaves a claim out."""
        defaults = {
            "sub": "u-1", "aud": ["casino", "shop"], "client_id": None, "cnf": None, "scope": None, "txn": None,
            "exp": self.clock.at_ms // 1000 + 3600, "iat": self.clock.at_ms // 1000 - 60,
        }  # fmt: skip
        claims = issuer.claims(self.clock.at_ms, **(defaults | changes))
        typ = "JWT" if issuer is not PARTNER else "at+jwt"
        return issuer.token(claims, {"typ": typ} | (header or {}))

    async def ask(self, service: str, **fields: Any) -> Answer:
        """Send a form of these fields; what is no text is JSON."""
        sent = {
            name: value if isinstance(value, str | list) and name != "authorization_details" else json.dumps(value)
            for name, value in fields.items()
            if value is not None
        }
        form = {"grant_type": None, "client_id": service, "resource": None} | sent
        return await self.token(self.services[service], form)

    async def exchange(self, service: str = "jackpot", token: str | None = None, **fields: Any) -> Answer:
        """Exchange a token, a user's where none is given, for one for the wallet."""
        kind = "id_token" if token is None else "access_token"
        return await self.ask(
            service,
            **{
                "grant_type": EXCHANGE,
                "subject_token": token or self.user(),
                "subject_token_type": TYPE + kind,
                "audience": "wallet.api",
            }
            | fields,
        )

    async def mandate_of(self, service: str = "jackpot", **fields: Any) -> str:
        """A mandate that ``service`` was given about a user."""
        defaults = {"requested_token_type": TYPE + "access_token"}
        answer = await self.exchange(service, **(defaults | fields))
        assert answer.status == 200, answer.body
        return str(answer.json["access_token"])


def services_of(authority: Authority) -> dict[str, Leaf]:
    return {name: authority.leaf(name, uris=(name_of(name),)) for name in SERVICES}
