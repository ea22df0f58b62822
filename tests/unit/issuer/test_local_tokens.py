"""What a workload mints for itself is what clients.yaml grants it, and no more."""

import base64
import json
from typing import Any

import pytest

from ott_extauthz.issuer.client import Client
from ott_extauthz.issuer.clients import clients_from
from ott_extauthz.issuer.local_tokens import LocalTokens, Workload
from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.order import DEFAULT_RING
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.ports import Signer, SigningError, TokenSourceError, TokenWanted
from ott_extauthz.stores.signing import new_key, signer_from
from tests.fakes.issuing import OneKey, SetClock

SPIFFE_ID = "spiffe://bank.example/app-a"
THUMBPRINT = Thumbprint(bytes(range(32)))
CLIENT: Client = clients_from(
    f"""
clients:
  - client_id: app-a
    authentication: tls_client_auth
    certificate: {{spiffe_id: "{SPIFFE_ID}"}}
    audiences:
      wallet.api: {{scopes: ["wallet:debit", "wallet:read"], lifetime: 20s, workload_bound: true}}
      cards.api: {{scopes: ["cards:read"]}}
""",
    "clients.yaml",
)["app-a"]


BUDGETED: Client = clients_from(
    f"""
clients:
  - client_id: app-a
    authentication: tls_client_auth
    certificate: {{spiffe_id: "{SPIFFE_ID}"}}
    audiences: {{wallet.api: {{scopes: ["wallet:debit"], budget: {{count: 2}}}}}}
""",
    "clients.yaml",
)["app-a"]


class BrokenSigner:
    kid = "k"
    algorithm = "EdDSA"

    async def sign(self, messages: Any) -> Any:
        raise SigningError("the key's place does not answer")


def own(
    thumbprint: Thumbprint | None = THUMBPRINT,
    signer: Signer | None = None,
    subject: str = SPIFFE_ID,
    client: Client = CLIENT,
) -> LocalTokens:
    signer = signer or signer_from(new_key("EdDSA"), "EdDSA")
    assert signer is not None
    minter = Minter(issuer="https://i", rings={DEFAULT_RING: OneKey(signer)}, clock=SetClock(), entropy=_entropy())
    return LocalTokens(
        minter=minter,
        clock=SetClock(),
        client=client,
        workload=lambda: Workload(subject=subject, thumbprint=thumbprint),
        lifetime_ms=30_000,
    )


def _entropy() -> Any:
    numbers = iter(range(1, 1000))
    return lambda size: next(numbers).to_bytes(size, "big")


def claims(text: str) -> dict[str, Any]:
    payload = text.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


async def test_a_token_is_bound_to_the_certificate_and_says_who_it_is_for() -> None:
    tokens = await own().mint(TokenWanted(audience="wallet.api"), 3)
    assert len({claims(token.text)["jti"] for token in tokens}) == 3
    found = claims(tokens[0].text)
    assert (found["sub"], found["client_id"], found["aud"]) == (SPIFFE_ID, "app-a", "wallet.api")
    assert found["cnf"] == {"x5t#S256": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}
    assert found["scope"] == "wallet:debit wallet:read"
    assert tokens[0].expires_at_ms - tokens[0].issued_at_ms == 20_000


async def test_without_a_certificate_a_token_is_bound_to_the_workload_alone() -> None:
    [token] = await own(thumbprint=None).mint(TokenWanted(audience="wallet.api"), 1)
    assert "cnf" not in claims(token.text)
    assert claims(token.text)["sub"] == SPIFFE_ID


async def test_a_token_without_a_certificate_is_a_grant_of_its_own() -> None:
    wanted = TokenWanted(audience="cards.api")
    assert claims((await own().mint(wanted, 1))[0].text)["cnf"]
    with pytest.raises(TokenSourceError, match="unauthorized_client") as caught:
        await own(thumbprint=None).mint(wanted, 1)
    assert caught.value.is_lasting


async def test_a_token_bound_to_a_name_that_no_proxy_compares_is_not_made() -> None:
    with pytest.raises(TokenSourceError, match="SPIFFE ID"):
        await own(thumbprint=None, subject="app-a").mint(TokenWanted(audience="wallet.api"), 1)


async def test_a_client_that_needs_a_dpop_proof_gets_nothing_without_one() -> None:
    with pytest.raises(TokenSourceError, match="DPoP proof") as caught:
        await own(client=CLIENT.model_copy(update={"dpop": "required"})).mint(TokenWanted(audience="wallet.api"), 1)
    assert caught.value.is_lasting


async def test_a_token_for_one_request_names_it() -> None:
    wanted = TokenWanted(audience="wallet.api", htm="POST", htp="/v1/7", digest=b"\0" * 32)
    [token] = await own().mint(wanted, 1)
    found = claims(token.text)
    assert (found["htm"], found["htp"], found["digest"]) == ("POST", "/v1/7", "A" * 43)


@pytest.mark.parametrize(
    "wanted",
    [
        TokenWanted(audience="wallet.api", scope=frozenset()),
        TokenWanted(audience="ledger.api"),
        TokenWanted(audience="wallet.api", scope=frozenset({"wallet:debit", "wallet:everything"})),
        TokenWanted(audience="wallet.api", htp="no path"),
    ],
)
async def test_what_is_not_granted_is_refused_for_good_and_never_trimmed(wanted: TokenWanted) -> None:
    with pytest.raises(TokenSourceError) as caught:
        await own().mint(wanted, 1)
    assert caught.value.is_lasting


async def test_the_tokens_of_a_pool_do_not_use_up_one_budget() -> None:
    tokens = await own(client=BUDGETED).mint(TokenWanted(audience="wallet.api"), 3)
    budgets = [claims(token.text)["authorization_details"] for token in tokens]
    assert len({detail["identifier"] for (detail,) in budgets}) == 3


async def test_a_key_that_cannot_sign_now_may_later() -> None:
    with pytest.raises(TokenSourceError) as caught:
        await own(signer=BrokenSigner()).mint(TokenWanted(audience="wallet.api"), 1)
    assert not caught.value.is_lasting
