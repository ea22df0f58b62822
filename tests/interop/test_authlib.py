"""Authlib, unchanged, gets tokens with its certificate, asks about one, and hears our refusals as its own errors."""

import asyncio
from typing import Any

import jwt
import pytest
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from ott_extauthz.authn.base64url import encoded
from tests.fakes.certificates import Leaf
from tests.issuer_bank import Bank


def session(bank: Bank, leaf: Leaf, client_id: str) -> Any:
    """Authlib names the client in the form and leaves the proof to TLS when it is told of no other method."""
    found = OAuth2Session(client_id, token_endpoint_auth_method="none")  # noqa: S106
    found.trust_env = False  # a machine may name authorities of its own there
    found.headers["Connection"] = "close"  # it hangs up without a word to TLS, and our side would wait for one
    found.verify = str(bank.folder / "ca.pem")
    certificate, key = leaf.write(bank.folder, client_id)
    found.cert = (str(certificate), str(key))
    return found


def at(bank: Bank, path: str) -> str:
    return f"https://127.0.0.1:{bank.port}{path}"


async def fetched(bank: Bank, leaf: Leaf, **asked: str) -> dict[str, Any]:
    def fetch() -> dict[str, Any]:
        with session(bank, leaf, "rgs") as client:
            token = client.fetch_token(at(bank, "/token"), grant_type="client_credentials", **asked)
            return dict(token)

    return await asyncio.to_thread(fetch)


async def test_client_credentials_with_a_certificate(bank: Bank, rgs: Leaf) -> None:
    token = await fetched(bank, rgs, resource="wallet.api", scope="wallet:debit")
    assert (token["token_type"], token["scope"]) == ("Bearer", "wallet:debit")
    claims = jwt.decode(token["access_token"], options={"verify_signature": False})
    assert claims["cnf"] == {"x5t#S256": encoded(rgs.sha256)}


@pytest.mark.parametrize(
    ("asked", "code"),
    [({"resource": "nowhere"}, "invalid_target"), ({"resource": "wallet.api", "scope": "x"}, "invalid_scope")],
)
async def test_a_refusal_is_an_error_of_its_code(bank: Bank, rgs: Leaf, asked: dict[str, str], code: str) -> None:
    with pytest.raises(OAuthError) as caught:
        await fetched(bank, rgs, **asked)
    assert caught.value.error == code


async def test_introspection(bank: Bank, wallet: Leaf) -> None:
    def ask() -> Any:
        with session(bank, wallet, "wallet") as client:
            answer = client.introspect_token(at(bank, "/introspect"), token="nonsense")  # noqa: S106
            return answer.status_code, answer.json()

    assert await asyncio.to_thread(ask) == (200, {"active": False})
