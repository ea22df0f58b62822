"""oauth4webapi and openid-client, unchanged, complete every flow of the issuer over mutual TLS."""

import secrets
from typing import Any

import jwt

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.order import DEFAULT_RING, MintOrder
from ott_extauthz.model.token import TokenKind
from tests.fakes.certificates import Leaf
from tests.fakes.issuing import file_ring
from tests.interop.conftest import Client
from tests.issuer_bank import Bank

ASKED = {"resource": "wallet.api", "scope": "wallet:debit"}


def claims_of(answer: dict[str, Any]) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(answer["access_token"], options={"verify_signature": False})
    return claims


async def access_token(bank: Bank, **changes: Any) -> str:
    order: dict[str, Any] = {
        "kind": TokenKind.ACCESS,
        "subject": "player-7",
        "client_id": "rgs",
        "audience": "wallet.api",
        "scope": frozenset({"wallet:read"}),
        "lifetime_ms": 120_000,
    }
    rings = {DEFAULT_RING: file_ring(bank.folder / "keys")}
    minter = Minter(issuer=bank.url, rings=rings, clock=bank.clock, entropy=secrets.token_bytes)
    return (await minter.mint([MintOrder(**(order | changes))]))[0]


async def test_discovery(client: Client) -> None:
    said = await client.gets("discovery", None)
    assert (said["issuer"], said["token_endpoint"]) == (client.bank.url, client.bank.url + "/token")


async def test_client_credentials_with_a_certificate(client: Client, rgs: Leaf) -> None:
    found = await client.gets("client_credentials", rgs, parameters=ASKED)
    (answer,) = found["tokens"]
    assert (answer["token_type"], answer["scope"], answer["expires_in"]) == ("bearer", "wallet:debit", 45)
    assert claims_of(answer)["cnf"] == {"x5t#S256": encoded(rgs.sha256)}


async def test_dpop_with_the_nonce_asked_for_once(client: Client, rgs: Leaf) -> None:
    for algorithm in ("ES256", "Ed25519", "RS256"):
        answer = await client.does("client_credentials", rgs, parameters=ASKED, dpop=algorithm, count=3)
        assert answer.error is None
        assert answer.statuses == [400, 200, 200, 200]  # the nonce is learned from the first, and kept
        for issued in answer.result["tokens"]:
            assert issued["token_type"] == "dpop"
            assert claims_of(issued)["cnf"] == {"jkt": answer.result["jkt"], "x5t#S256": encoded(rgs.sha256)}


async def test_a_refusal_reaches_the_caller_as_its_code(client: Client, rgs: Leaf, wallet: Leaf) -> None:
    for leaf, parameters, code in (
        (rgs, ASKED | {"scope": "wallet:admin"}, "invalid_scope"),
        (rgs, ASKED | {"resource": "nowhere"}, "invalid_target"),
        (wallet, ASKED, "invalid_client"),
        (None, ASKED, "invalid_client"),
    ):
        answer = await client.does("client_credentials", leaf, parameters=parameters)
        assert answer.error is not None
        assert answer.error["oauth"] == code


async def test_introspection(client: Client, wallet: Leaf) -> None:
    token = await access_token(client.bank)
    said = await client.gets("introspection", wallet, client_id="wallet", token=token)
    assert (said["active"], said["sub"], said["token_type"]) == (True, "player-7", "Bearer")
    spendable = await access_token(client.bank, kind=TokenKind.ONE_TIME)
    assert await client.gets("introspection", wallet, client_id="wallet", token=spendable) == {"active": False}


async def test_whoever_may_not_introspect(client: Client, rgs: Leaf) -> None:
    answer = await client.does("introspection", rgs, token=await access_token(client.bank))
    assert answer.error is not None
    assert answer.error["oauth"] == "unauthorized_client"


async def test_jose_verifies_what_we_mint(oauth4webapi: Client, rgs: Leaf) -> None:
    (issued,) = (await oauth4webapi.gets("client_credentials", rgs, parameters=ASKED))["tokens"]
    token = issued["access_token"]
    found = await oauth4webapi.gets("verification", None, token=token, audience="wallet.api", typ="ott+jwt")
    assert found["payload"] == claims_of(issued)
    assert (await oauth4webapi.does("verification", None, token=token, audience="ledger.api")).error is not None
    assert (await oauth4webapi.does("verification", None, token=token, typ="at+jwt")).error is not None
