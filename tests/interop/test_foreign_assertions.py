"""oauth4webapi and openid-client authenticate with private_key_jwt, without a certificate; DPoP binds their tokens."""

import json
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.fakes.certificates import Authority
from tests.fakes.proofs import key_for
from tests.interop.conftest import Client, RealClock, running
from tests.issuer_bank import CLIENTS, Bank

ASKED = {"resource": "wallet.api", "scope": "wallet:debit"}
SIGNER = """
  - client_id: signer
    authentication: private_key_jwt
    jwks: signer.json
    introspects: [wallet.api]
    audiences:
      wallet.api: {scopes: ["wallet:debit"]}
"""
ALGORITHMS = ("ES256", "Ed25519", "RS256")
key_of = cache(key_for)


def jwk_of(algorithm: str, *, private: bool) -> dict[str, Any]:
    return {**key_of(algorithm).as_dict(private=private), "kid": algorithm, "alg": algorithm}


@pytest.fixture
async def signing(tmp_path: Path, authority: Authority) -> AsyncIterator[Bank]:
    bank = Bank(tmp_path, authority, clock=RealClock()).prepare()
    (tmp_path / "clients.yaml").write_text(CLIENTS.rstrip() + SIGNER)
    public = [{**jwk_of(name, private=False), "alg": "EdDSA" if name == "Ed25519" else name} for name in ALGORITHMS]
    (tmp_path / "signer.json").write_text(json.dumps({"keys": public}))
    authority.leaf("issuer", dns=("issuer.bank.example",), ips=("127.0.0.1",)).write(tmp_path, "server")
    async with bank.open():
        assert isinstance(bank.clock, RealClock)
        bank.clock.catch_up()
        yield bank


@pytest.fixture(params=["oauth4webapi.mjs", "openid-client.mjs"])
async def signer(request: pytest.FixtureRequest, node: str, signing: Bank) -> AsyncIterator[Client]:
    async with running(node, request.param) as program:
        yield Client(program, signing)


def job(algorithm: str = "ES256", **more: Any) -> dict[str, Any]:
    key = jwk_of(algorithm, private=True)
    return {"client_id": "signer", "authentication": "private_key_jwt", "jwk": key, "parameters": ASKED} | more


async def test_an_assertion_and_a_dpop_key(signer: Client) -> None:
    for algorithm in ALGORITHMS:
        found = await signer.gets("client_credentials", None, **job(algorithm, dpop="ES256", count=2))
        for issued in found["tokens"]:
            claims = jwt.decode(issued["access_token"], options={"verify_signature": False})
            assert (claims["client_id"], claims["cnf"]) == ("signer", {"jkt": found["jkt"]})


async def test_an_assertion_without_anything_to_bind_the_token_to(signer: Client) -> None:
    answer = await signer.does("client_credentials", None, **job())
    assert answer.error is not None
    assert answer.statuses[-1] in (400, 401)


async def test_an_assertion_by_another_key(signer: Client) -> None:
    stranger = {**key_for("ES256").as_dict(private=True), "kid": "ES256", "alg": "ES256"}
    answer = await signer.does("client_credentials", None, **job(jwk=stranger, dpop="ES256"))
    assert answer.error is not None
    assert answer.error["oauth"] == "invalid_client"


async def test_introspection_by_assertion(signer: Client) -> None:
    asked = job() | {"token": "nonsense"}
    assert await signer.gets("introspection", None, **asked) == {"active": False}
