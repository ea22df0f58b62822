from collections.abc import Sequence
from dataclasses import dataclass

from ott_extauthz.issuer.clients import clients_from
from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode
from ott_extauthz.issuer.order import MintOrder
from ott_extauthz.issuer.request import Requester, TokenRequest
from ott_extauthz.issuer.token_endpoint import TokenEndpoint
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.ports import SigningError
from tests.fakes.issuing import OneKey, SetClock
from tests.issuer_bank import CLIENTS


@dataclass(frozen=True)
class Unreachable:
    kid: str = "k"
    algorithm: str = "EdDSA"

    async def sign(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        raise SigningError("vault transit/secret-name: unreachable")


class AnyClient:
    methods = ()

    async def authenticate(self, request: TokenRequest) -> Requester:
        return Requester(client=clients_from(CLIENTS, "clients.yaml")["rgs"], jkt=Thumbprint(bytes(32)))


class AnyGrant:
    async def judge(self, request: TokenRequest, requester: Requester) -> MintOrder:
        return MintOrder(subject="s", client_id="rgs", audience="wallet.api", scope=frozenset(), lifetime_ms=30_000)


async def test_a_ring_that_cannot_sign_is_an_outage_and_tells_the_client_nothing_of_it() -> None:
    rings = {"": OneKey(Unreachable())}
    endpoint = TokenEndpoint(
        authenticator=AnyClient(),
        grants={"any": AnyGrant()},
        minter=Minter(issuer="https://i.example", rings=rings, clock=SetClock(), entropy=bytes),
    )
    answer = await endpoint.answer(TokenRequest(form={"grant_type": ["any"]}, certificate=None, now_ms=0))
    assert isinstance(answer, OAuthError)
    assert (answer.error, answer.status) == (OAuthErrorCode.TEMPORARILY_UNAVAILABLE, 503)
    assert answer.retry_after_ms == 1000
    assert answer.client_id == "rgs"
    assert "vault" not in answer.description
