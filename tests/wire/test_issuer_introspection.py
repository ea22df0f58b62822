"""Introspection over real HTTPS (RFC 7662): who may ask, about which tokens, and what is never told."""

import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from nacl.signing import SigningKey

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.order import DEFAULT_RING, MintOrder
from ott_extauthz.model.token import TokenKind
from tests.fakes.certificates import Authority, Leaf
from tests.fakes.issuer import FakeIssuer
from tests.fakes.issuing import file_ring
from tests.fakes.proofs import Prover
from tests.issuer_bank import CLIENTS, FORM_TYPE, Answer, Bank

WALLET = """
  - client_id: wallet
    authentication: tls_client_auth
    certificate: {dns: wallet.bank.example}
    introspects: [wallet.api]
"""


@pytest.fixture(scope="module")
def wallet() -> tuple[Authority, Leaf]:
    authority = Authority()
    return authority, authority.leaf("wallet", dns=("wallet.bank.example",))


@pytest.fixture
async def asked(tmp_path: Path, wallet: tuple[Authority, Leaf]) -> AsyncIterator[Bank]:
    bank = Bank(tmp_path, wallet[0]).prepare()
    (tmp_path / "clients.yaml").write_text(CLIENTS.rstrip() + WALLET)
    async with bank.open() as opened:
        yield opened


async def minted(bank: Bank, **changes: Any) -> str:
    order = {
        "kind": TokenKind.ACCESS,
        "subject": "player-7",
        "client_id": "rgs",
        "audience": "wallet.api",
        "scope": frozenset({"wallet:read", "wallet:debit"}),
        "lifetime_ms": 120_000,
    } | changes
    rings = {DEFAULT_RING: file_ring(bank.folder / "keys")}
    minter = Minter(issuer=bank.url, rings=rings, clock=bank.clock, entropy=secrets.token_bytes)
    return (await minter.mint([MintOrder(**order)]))[0]  # type: ignore[arg-type] # as the caller wants it


async def introspected(bank: Bank, leaf: Leaf | None, token: str | None, /, **form: str) -> Answer:
    fields = {"client_id": "wallet", "token": token} | form
    body = urlencode({name: value for name, value in fields.items() if value is not None})
    return await bank.request("POST", "/introspect", leaf, data=body, headers={"Content-Type": FORM_TYPE})


async def test_an_access_token_is_told_as_it_was_signed(asked: Bank, wallet: tuple[Authority, Leaf]) -> None:
    details = [{"type": "mandate", "max_amount": {"value": "5", "currency": "EUR"}}]
    token = await minted(
        asked,
        jkt=Prover().jkt,
        act={"sub": "jackpot"},
        narrowing={"authorization_details": details},
        auth_time_ms=1_790_000_000_999,
        acr="high",
        amr=("otp",),
    )
    answer = await introspected(asked, wallet[1], token, token_type_hint="jwt")  # noqa: S106
    claims = jwt.decode(token, options={"verify_signature": False})
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json == {
        "active": True,
        "token_type": "DPoP",
        "iss": asked.url,
        "sub": "player-7",
        "client_id": "rgs",
        "aud": "wallet.api",
        "scope": "wallet:debit wallet:read",
        "cnf": claims["cnf"],
        "txn": claims["txn"],
        "act": {"sub": "jackpot"},
        "authorization_details": details,
        "auth_time": 1_790_000_000,
        "acr": "high",
        "amr": ["otp"],
        "iat": asked.clock.at_ms // 1000,
        "exp": (asked.clock.at_ms + 120_000) // 1000,
    }


async def test_a_token_dies_at_its_expiry(asked: Bank, wallet: tuple[Authority, Leaf]) -> None:
    token = await minted(asked)
    asked.clock.at_ms += 119_999
    assert (await introspected(asked, wallet[1], token)).json["active"] is True
    asked.clock.at_ms += 1
    assert (await introspected(asked, wallet[1], token)).json == {"active": False}


async def test_a_one_time_token_is_never_active(asked: Bank, wallet: tuple[Authority, Leaf]) -> None:
    """Asking does not spend; whoever took "active" for "let it pass" would take the token twice."""
    token = await minted(asked, kind=TokenKind.ONE_TIME)
    assert (await introspected(asked, wallet[1], token)).json == {"active": False}


async def test_another_audiences_token(asked: Bank, wallet: tuple[Authority, Leaf]) -> None:
    assert (await introspected(asked, wallet[1], await minted(asked, audience="ledger.api"))).json == {"active": False}


def _tampered(token: str) -> list[str]:
    head, payload, _ = token.split(".")
    return [f"{head}.{payload}.{encoded(bytes(64))}", f"{head}.{payload}", f"{head}.{payload}.", "x", "a.b.c", "é"]


async def test_what_is_not_ours_is_not_active(asked: Bank, wallet: tuple[Authority, Leaf]) -> None:
    kid = jwt.get_unverified_header(await minted(asked))["kid"]
    forger = FakeIssuer(asked.url, kid=kid, seed=bytes(SigningKey.generate()))
    header = json.dumps({"alg": "EdDSA", "kid": kid, "typ": "at+jwt"}).encode()
    forged = forger.sign(header, json.dumps(forger.claims(asked.clock.at_ms)).encode())
    for token in (forged, "x" * 9000, *_tampered(await minted(asked))):
        assert (await introspected(asked, wallet[1], token)).json == {"active": False}


async def test_another_issuers_token_under_our_key(asked: Bank, wallet: tuple[Authority, Leaf]) -> None:
    rings = {DEFAULT_RING: file_ring(asked.folder / "keys")}
    other = Minter(issuer="https://other.example", rings=rings, clock=asked.clock, entropy=secrets.token_bytes)
    order = MintOrder(
        kind=TokenKind.ACCESS, subject="s", client_id="c", audience="wallet.api", scope=frozenset(), lifetime_ms=60_000
    )
    assert (await introspected(asked, wallet[1], (await other.mint([order]))[0])).json == {"active": False}


async def test_who_may_not_ask_is_refused(asked: Bank, wallet: tuple[Authority, Leaf]) -> None:
    authority, leaf = wallet
    rgs = authority.leaf("rgs", uris=("spiffe://bank.example/rgs",))
    token = await minted(asked)
    assert (await introspected(asked, rgs, token, client_id="rgs")).error == (403, "unauthorized_client")
    assert (await introspected(asked, rgs, token)).error == (401, "invalid_client")
    assert (await introspected(asked, None, token)).error == (401, "invalid_client")
    assert asked.observer.refusals == [
        ("rgs", "unauthorized_client"),
        (None, "invalid_client"),
        (None, "invalid_client"),
    ]
    assert (await introspected(asked, leaf, token)).json["active"] is True


async def test_the_form_is_held_to_the_same_rules_as_a_token_request(
    asked: Bank, wallet: tuple[Authority, Leaf]
) -> None:
    assert (await introspected(asked, wallet[1], None)).error == (400, "invalid_request")
    assert (await introspected(asked, wallet[1], "")).error == (400, "invalid_request")
    body = urlencode([("client_id", "wallet"), ("token", "a"), ("token", "b")])
    twice = await asked.request("POST", "/introspect", wallet[1], data=body, headers={"Content-Type": FORM_TYPE})
    assert twice.error == (400, "invalid_request")
    as_json = await asked.request("POST", "/introspect", wallet[1], json={"token": "x"})
    assert as_json.error == (400, "invalid_request")
    assert (await asked.request("GET", "/introspect?token=x", wallet[1])).status == 405


async def test_a_resource_server_gets_no_tokens(asked: Bank, wallet: tuple[Authority, Leaf]) -> None:
    answer = await asked.token(wallet[1], {"client_id": "wallet"})
    assert answer.error == (400, "invalid_target")
