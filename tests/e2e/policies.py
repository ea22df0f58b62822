"""The rig's policy and the configuration of its Check servers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ott_extauthz.authn.partners import KeyAlgorithm
from tests.e2e.forge import ISSUER
from tests.e2e.login import LOGIN
from tests.fakes.signed_requests import pem

RGS: Final = "spiffe://bank.example/rgs"
GATEWAY: Final = "spiffe://bank.example/gateway"
PARTNER: Final = "spiffe://partner.example/psp"
REVISION: Final = "e2e.7"

_TOKEN: Final[dict[str, Any]] = {
    "credential": "one_time_token",
    "audience": "wallet.api",
    "bound_to": ["certificate"],
    "clients": ["rgs"],
    "scopes": ["wallet:debit"],
}


def _route(name: str, methods: list[str], path: str, **changes: object) -> dict[str, Any]:
    return {"name": name, "match": {"hosts": ["wallet.api"], "methods": methods, "path": path}, **_TOKEN, **changes}


def _matching(name: str, match: dict[str, Any], **changes: object) -> dict[str, Any]:
    return {"name": name, "match": match, **_TOKEN, **changes}


def _by_certificate(name: str, spiffe_ids: list[str]) -> dict[str, Any]:
    match = {"hosts": ["wallet.api"], "methods": ["POST"], "path": f"/v1/{name}"}
    return {"name": name, "match": match, "credential": "certificate", "certificate": {"spiffe_ids": spiffe_ids}}


def _signed(name: str, **terms: object) -> dict[str, Any]:
    """A route for webhooks; so little ahead that a fresh used-list vouches for them in a second or two."""
    match = {"hosts": ["hooks.api"], "methods": ["POST"], "path": f"/v1/{name}"}
    terms = {"ahead": "1s", "partners": ["psp", "hook"]} | terms
    return {"name": name, "match": match, "credential": "signed_request", "signed_request": terms}


def _tenant(headers: dict[str, str] | None) -> dict[str, Any]:
    match: dict[str, Any] = {"hosts": ["wallet.api"], "methods": ["POST"], "path": "/v1/tenants"}
    return match if headers is None else match | {"headers": headers}


def _of_api_keys() -> Iterator[dict[str, Any]]:
    match = {"hosts": ["wallet.api"], "methods": ["POST"]}
    yield {"name": "erp", "match": match | {"path": "/v1/erp"}, "credential": "api_key", "scopes": ["wallet:debit"]}


POLICY: Final[dict[str, Any]] = {
    "revision": REVISION,
    "routes": [
        _route("wallet-debit", ["POST"], "/v1/wallets/{wallet}/debit"),
        _route("wallet-read", ["GET", "HEAD"], "/v1/wallets/{wallet}"),
        _route("files", ["GET", "POST"], "/files/{path**}"),
        _route("workload", ["POST"], "/v1/workload", bound_to=["workload"]),
        _route("unbound", ["POST"], "/v1/unbound", bound_to=[], unbound="accept the risk"),
        _route("step-up", ["POST"], "/v1/step-up", max_auth_age="5m"),
        _route("bearer", ["POST"], "/v1/bearer", **{"from": {"header": "authorization", "scheme": "Bearer"}}),
        _route("reserved", ["POST"], "/v1/reserved", reservation=True, **{"from": {"keep": True}}),
        _route("reserved-not-kept", ["POST"], "/v1/reserved-not-kept", reservation=True),
        _route("kept", ["POST"], "/v1/kept", **{"from": {"keep": True}}),
        _route("stream", ["GET"], "/v1/stream"),
        _route("bound", ["POST"], "/v1/wallets/{wallet}/bound", bound_to_request=["method", "path", "body"]),
        _route("digest", ["POST"], "/v1/wallets/{wallet}/digest", allow_unbuffered_empty=True),
        _route("pay", ["POST"], "/v1/wallets/{wallet}/pay", amount={"value": "/amount", "currency": "/currency"}),
        _route(
            "rules",
            ["POST"],
            "/v1/rules/{wallet}",
            when="request.path_params.wallet == token.sub && request.json.limit <= 10",
            deny_when=['"x-test" in request.headers', '"debug" in request.query'],
        ),
        _route("limited", ["POST"], "/v1/limited", constraints={"rate_limit": {"count": 3, "per": "1h"}}),
        _route("budgeted", ["POST"], "/v1/budgeted", amount={"value": "/amount", "currency_is": "EUR"}),
        _route("mandated", ["POST"], "/v1/mandated", credential="mandate"),
        _route("verified", ["POST"], "/v1/verified/{path}", verified_by="envoy"),
        *_of_api_keys(),
        _route("opaque", ["POST"], "/v1/opaque", credential="access_token", issuers=[LOGIN]),
        _route("in-shadow", ["POST"], "/v1/in-shadow", mode="shadow"),
        _by_certificate("by-certificate", [RGS, PARTNER]),
        _by_certificate("by-gateway", [GATEWAY]),
        _matching("suffix", {"hosts": ["*.shop.example"], "methods": ["POST"], "path": "/v1/basket"}),
        _matching("tenant", _tenant({"x-tenant": "acme"}), scopes=["tenant:acme"]),
        _matching("no-tenant", _tenant(None)),
        _matching("grpc-wallet", {"hosts": ["wallet.api"], "grpc": {"service": "grpc.wallet.v1.Wallet"}}),
        _route("grpc-debit", ["POST"], "/grpc.wallet.v1.Wallet/Debit"),
        {
            **_TOKEN,
            "name": "ledger-entry",
            "match": {"hosts": ["ledger.api"], "methods": ["POST"], "path": "/v1/entries"},
            "audience": "ledger.api",
            "scopes": ["ledger:write"],
        },
        _signed("hooks"),
        _signed("events", event={"pointer": "/event/id", "on_repeat": 200}),
        _signed("strict-events", event={"pointer": "/event/id"}),
        _signed("messages", partners=["acme"], components=["content-type"]),
        _signed("empty-messages", partners=["acme"]) | {"allow_unbuffered_empty": True},
        {"name": "health", "match": {"methods": ["GET"], "path": "/healthz"}, "credential": "public"},
    ],
}


WEBHOOK_SECRET: Final = b"a-secret-that-psp-and-we-have"
STANDARD_SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_PUBLIC: Final = (KeyAlgorithm.ED25519, KeyAlgorithm.ECDSA_P256_SHA256, KeyAlgorithm.RSA_PSS_SHA512)
PARTNERS: Final[dict[str, Any]] = {
    "partners": [
        {"name": "psp", "client_id": "psp", "form": "hmac", "keys": [{"secret_file": "psp.secret"}]},
        {"name": "hook", "client_id": "hook", "form": "standard_webhooks", "keys": [{"secret_file": "hook.secret"}]},
        {
            "name": "acme",
            "client_id": "acme",
            "form": "http_signatures",
            "keys": [{"kid": each.value, "public_key_file": f"{each}.pem"} for each in _PUBLIC],
        },
    ]
}


def write_partners(folder: Path) -> None:
    """Write who signs webhooks, and with which secrets."""
    (folder / "partners.yaml").write_text(json.dumps(PARTNERS), encoding="utf-8")
    for name, secret in (("psp", WEBHOOK_SECRET), ("hook", STANDARD_SECRET.encode())):
        (folder / f"{name}.secret").touch(mode=0o600)
        (folder / f"{name}.secret").write_bytes(secret)
    for algorithm in _PUBLIC:
        (folder / f"{algorithm}.pem").write_bytes(pem(algorithm))


def ott_yaml(name: str, transport: str, store: str, addresses: tuple[str, ...], admin: int) -> dict[str, Any]:
    """The configuration of one Check server."""
    return {
        "listen": {"check": list(addresses), "admin": f"127.0.0.1:{admin}", "transport": transport},
        # Cases that are about time have a server of their own; here 80 ms may pass on busy cores for no reason of ours.
        "store": {"url": store, "timeout": "2s"},
        "trust": [{"issuer": ISSUER, "jwks": "jwks.json", "algorithms": ["EdDSA", "ES256"]}],
        "policy": "policy.yaml",
        "api_keys": {"file": "api-keys.yaml"},
        "partners": "partners.yaml",
        "audit": {"path": f"audit-{name}/", "required": True},
        "drain": {"wait": "0ms", "grace": "1s"},
    }
