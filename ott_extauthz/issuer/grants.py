"""May this client have this token for itself?  The client credentials grant (RFC 6749 §4.4)."""

import secrets
from dataclasses import dataclass, replace
from typing import Final, Protocol

from ott_extauthz.authn.mandates import DETAILS
from ott_extauthz.issuer.entitlement import entitlement, narrowing
from ott_extauthz.issuer.oauth_error import OAuthError
from ott_extauthz.issuer.order import MintOrder
from ott_extauthz.issuer.request import Requester, TokenRequest, invalid_request
from ott_extauthz.model.token import TokenKind
from ott_extauthz.ports import Entropy

CLIENT_CREDENTIALS: Final = "client_credentials"


class Grant(Protocol):
    """One grant type: judges what an authenticated client asks for."""

    async def judge(self, request: TokenRequest, requester: Requester) -> MintOrder | OAuthError:
        """Return the order for a token, bound to what ``requester`` has proven, or the refusal."""
        ...


async def orders_of(
    order: MintOrder, count: int, *, grant: Grant, request: TokenRequest, requester: Requester
) -> list[MintOrder] | OAuthError:
    """Return ``count`` orders like ``order``; where it has a budget, each has its own, as by requests of their own."""
    if not any("budget" in detail for detail in order.narrowing.get(DETAILS, ())):
        return [order] * count
    orders = [order]
    while len(orders) < count:
        another = await grant.judge(request, requester)
        if isinstance(another, OAuthError):
            return another
        orders.append(replace(order, narrowing={**order.narrowing, DETAILS: another.narrowing[DETAILS]}))
    return orders


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials:
    """Judges ``client_credentials`` requests; ``lifetime_ms`` is for audiences that name none."""

    lifetime_ms: int
    entropy: Entropy = secrets.token_bytes

    async def judge(self, request: TokenRequest, requester: Requester) -> MintOrder | OAuthError:
        """Return the order for a token of the client's own."""
        client = requester.client
        entitled = entitlement(request.form, client)
        if isinstance(entitled, OAuthError):
            return entitled
        if entitled.kind is TokenKind.TRANSACTION:
            return invalid_request("a transaction token is about a subject: exchange the subject's token for it")
        lifetime_ms = entitled.grant.lifetime_ms(self.lifetime_ms, entitled.kind)
        narrowed = narrowing(request, entitled, lifetime_ms=lifetime_ms, entropy=self.entropy)
        if isinstance(narrowed, OAuthError):
            return narrowed
        return MintOrder(
            kind=entitled.kind,
            subject=requester.name,
            client_id=client.client_id,
            audience=entitled.audience,
            scope=entitled.scope,
            lifetime_ms=lifetime_ms,
            thumbprint=requester.thumbprint,
            jkt=requester.jkt,
            narrowing=narrowed,
            ring=entitled.grant.ring,
            format=entitled.grant.format,
        )
