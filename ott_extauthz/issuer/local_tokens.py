"""Which tokens does a workload get that has the issuer's keys beside it?  What ``clients.yaml`` grants it, no more.

For a mesh in which the issuer cannot be asked.  Whoever holds the keys could sign anything; that this one does not is
what keeps an attaching server as narrow as the issuer would have it.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.issuer.binding import bound_to_workload, for_lack_of_proof
from ott_extauthz.issuer.client import Client
from ott_extauthz.issuer.grants import ClientCredentials, orders_of
from ott_extauthz.issuer.kinds import TokenTypeUri
from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.oauth_error import OAuthError
from ott_extauthz.issuer.order import MintOrder, OrderError
from ott_extauthz.issuer.request import Form, Requester, TokenRequest
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.ports import Clock, Entropy, MintedToken, SigningError, TokenSourceError, TokenWanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Who the tokens are for; without ``thumbprint`` they are bound to ``subject``, a SPIFFE ID."""

    subject: str
    thumbprint: Thumbprint | None


class LocalTokens:
    """Mints for one workload; ``workload`` is asked for every batch, so that a new certificate needs no restart."""

    def __init__(  # noqa: PLR0913 - what minting takes
        self,
        *,
        minter: Minter,
        client: Client,
        workload: Callable[[], Workload],
        lifetime_ms: int,
        clock: Clock,
        entropy: Entropy = secrets.token_bytes,
    ) -> None:
        self._minter = minter
        self._requester = Requester(client=client)
        self._workload = workload
        self._grant = ClientCredentials(lifetime_ms=lifetime_ms, entropy=entropy)
        self._clock = clock

    async def mint(self, wanted: TokenWanted, count: int) -> Sequence[MintedToken]:
        """Return ``count`` fresh tokens.

        Raises:
            TokenSourceError: the workload has no such grant, or no key can sign.
        """
        try:
            return await self._minter.batch(await self._orders(wanted, count))
        except OrderError as error:
            raise TokenSourceError(f"no such token can exist: {error}", is_lasting=True) from None
        except SigningError as error:
            raise TokenSourceError(str(error), is_lasting=False) from None

    async def _orders(self, wanted: TokenWanted, count: int) -> list[MintOrder]:
        """Judge as the token endpoint does, ceilings and all."""
        if wanted.scope is not None and not wanted.scope:  # in a request, no scope is every scope
            raise TokenSourceError("a token without scope cannot be asked for; None asks for all", is_lasting=True)
        request, requester = _request(wanted, self._clock.now_ms()), self._requester
        order = for_lack_of_proof(requester.client) or await self._grant.judge(request, requester)
        if not isinstance(order, OAuthError):
            order = self._bound(replace(order, narrowing={**order.narrowing, **_narrowing(wanted)}))
        orders: list[MintOrder] | OAuthError = (
            order
            if isinstance(order, OAuthError)
            else await orders_of(order, count, grant=self._grant, request=request, requester=requester)
        )
        if isinstance(orders, OAuthError):
            said = f"clients.yaml grants no such token: {orders.error}: {orders.description}"
            raise TokenSourceError(said, is_lasting=True)
        return orders

    def _bound(self, order: MintOrder) -> MintOrder | OAuthError:
        workload = self._workload()
        order = replace(order, subject=workload.subject, thumbprint=workload.thumbprint)
        if workload.thumbprint is not None:
            return order
        return bound_to_workload(order, self._requester.client.audiences[order.audience])


def _request(wanted: TokenWanted, now_ms: int) -> TokenRequest:
    scope: list[str] = [] if wanted.scope is None else [" ".join(sorted(wanted.scope))]
    form: Form = {"resource": [wanted.audience], "scope": scope, "requested_token_type": [TokenTypeUri.JWT]}
    return TokenRequest(form=form, certificate=None, now_ms=now_ms)


def _narrowing(wanted: TokenWanted) -> dict[str, str]:
    digest = None if wanted.digest is None else encoded(wanted.digest)
    found = {"htm": wanted.htm, "htp": wanted.htp, "digest": digest}
    return {name: text for name, text in found.items() if text is not None}
