from collections.abc import Sequence
from dataclasses import dataclass

from ott_extauthz.issuer.clients import clients_from
from ott_extauthz.issuer.grants import Grant
from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode
from ott_extauthz.issuer.order import MintOrder
from ott_extauthz.issuer.possession import Bound
from ott_extauthz.issuer.request import Requester, TokenRequest
from ott_extauthz.issuer.token_endpoint import Issued, TokenEndpoint
from ott_extauthz.issuer.trail import IssuerTrail, Minting, NoTrail
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.ports import AuditError, Signer, SigningError
from tests.fakes.issuing import OneKey, SetClock
from tests.issuer_bank import CLIENTS


@dataclass(frozen=True)
class Unreachable:
    kid: str = "k"
    algorithm: str = "EdDSA"

    async def sign(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        raise SigningError("vault transit/secret-name: unreachable")


@dataclass(frozen=True)
class Signs:
    kid: str = "k"
    algorithm: str = "EdDSA"

    async def sign(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        return [bytes(64) for _ in messages]


class AnyClient:
    methods = ()

    async def authenticate(self, request: TokenRequest) -> Requester:
        return Requester(client=clients_from(CLIENTS, "clients.yaml")["rgs"], jkt=Thumbprint(bytes(32)))


class AnyGrant:
    async def judge(self, request: TokenRequest, requester: Requester) -> MintOrder:
        return MintOrder(subject="s", client_id="rgs", audience="wallet.api", scope=frozenset(), lifetime_ms=30_000)


class NextNonce:
    async def bind(self, request: TokenRequest, requester: Requester) -> Bound:
        return Bound(requester, "next")


class NobodysGrant:
    async def judge(self, request: TokenRequest, requester: Requester) -> OAuthError:
        return OAuthError(OAuthErrorCode.INVALID_TARGET, "no")


class FullDisk(NoTrail):
    def minted(self, minting: Minting) -> None:
        raise AuditError("no space left")


async def answered(signer: Signer, trail: IssuerTrail | None = None, grant: Grant | None = None) -> Issued | OAuthError:
    endpoint = TokenEndpoint(
        authenticator=AnyClient(),
        grants={"any": grant or AnyGrant()},
        minter=Minter(issuer="https://i.example", rings={"": OneKey(signer)}, clock=SetClock(), entropy=bytes),
        possession=NextNonce(),
        trail=trail or NoTrail(),
    )
    return await endpoint.answer(TokenRequest(form={"grant_type": ["any"]}, certificate=None, now_ms=0))


async def test_every_answer_to_a_good_proof_brings_the_next_nonce() -> None:
    """RFC 9449 §8.2; a client that is told to come again would be refused for the old one."""
    answers = [
        await answered(Unreachable()),
        await answered(Signs(), FullDisk()),
        await answered(Signs(), grant=NobodysGrant()),
        await answered(Signs()),
    ]
    statuses = [each.status if isinstance(each, OAuthError) else 200 for each in answers]
    assert statuses == [503, 503, 400, 200]
    assert [each.dpop_nonce for each in answers] == ["next"] * 4


async def test_a_ring_that_cannot_sign_is_an_outage_and_tells_the_client_nothing_of_it() -> None:
    answer = await answered(Unreachable())
    assert isinstance(answer, OAuthError)
    assert (answer.error, answer.status) == (OAuthErrorCode.TEMPORARILY_UNAVAILABLE, 503)
    assert answer.retry_after_ms == 1000
    assert answer.client_id == "rgs"
    assert "vault" not in answer.description
