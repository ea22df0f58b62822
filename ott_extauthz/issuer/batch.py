"""What does a workload get that asks for many tokens at once?  Judged as at the token endpoint, once for all of them.

The order, each step refusing on its own:
  1. the count: 1 to 256
  2. the client: the one whose certificate this is, authenticated as at the token endpoint
  3. the grant: ``client_credentials``, by the very rules of the token endpoint
  4. the binding: the certificate, or the workload's name where the client may have that
  5. the life, within the grant's longest, and the one request that the tokens are for
  6. the tokens: all of them or none, and written down before they leave
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.issuer.authentication import Authenticator
from ott_extauthz.issuer.binding import Binding, bound_to_workload, for_lack_of_proof
from ott_extauthz.issuer.certificate import PresentedCertificate
from ott_extauthz.issuer.client import Client, Method
from ott_extauthz.issuer.clients import Clients
from ott_extauthz.issuer.grants import CLIENT_CREDENTIALS, Grant, orders_of
from ott_extauthz.issuer.kinds import TokenTypeUri
from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode
from ott_extauthz.issuer.order import MintOrder, OrderError
from ott_extauthz.issuer.request import Form, Requester, TokenRequest, invalid_request
from ott_extauthz.issuer.token_endpoint import UNWRITTEN
from ott_extauthz.issuer.trail import Door, IssuerTrail, Minting, NoTrail
from ott_extauthz.ports import AuditError, MintedToken, SigningError

LARGEST_BATCH: Final = 256
_DETAILS: Final = "authorization_details"
_UNKNOWN: Final = OAuthError(OAuthErrorCode.INVALID_CLIENT, "no client, or more than one, has this certificate", 401)
_NO_KEY: Final = OAuthError(OAuthErrorCode.TEMPORARILY_UNAVAILABLE, "no key can sign at the moment", 503)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """Tokens that are all alike, nothing of it believed but ``certificate``, which TLS has verified.

    No ``scopes`` are all that the client has; ``lifetime_ms`` 0 is the grant's; an empty text narrows nothing.
    ``binding`` None is one that is not known here, which is refused.
    """

    audience: str
    scopes: tuple[str, ...] = ()
    count: int
    lifetime_ms: int = 0
    authorization_details: str = field(default="", repr=False)
    htm: str = ""
    htp: str = ""
    digest: bytes = field(default=b"", repr=False)
    binding: Binding | None = Binding.CERTIFICATE
    certificate: PresentedCertificate | None
    trace_id: str | None = None
    now_ms: int

    @property
    def form(self) -> Form:
        """The same as a token request would say it."""
        return {
            "grant_type": [CLIENT_CREDENTIALS],
            "requested_token_type": [TokenTypeUri.JWT],
            "resource": [self.audience],
            "scope": [" ".join(self.scopes)],
            _DETAILS: [self.authorization_details],
        }


@dataclass(frozen=True, slots=True)
class Batch:
    """Tokens of one order."""

    tokens: Sequence[MintedToken]
    order: MintOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDesk:
    """Judges requests for many tokens; ``grant`` is what judges ``client_credentials`` at the token endpoint.

    ``proxies`` are the workloads that come for others: their certificate is nobody's who asks here.
    """

    clients: Clients
    authenticator: Authenticator
    grant: Grant
    minter: Minter
    proxies: frozenset[str] = frozenset()
    trail: IssuerTrail = field(default_factory=NoTrail)

    async def answer(self, request: BatchRequest) -> Batch | OAuthError:
        """Return the tokens, or why there is none."""
        if not 1 <= request.count <= LARGEST_BATCH:
            return invalid_request(f"count: 1 to {LARGEST_BATCH}")
        if request.binding is None:
            return invalid_request("binding: CERTIFICATE or WORKLOAD")
        asked = self._as_token_request(request)
        if isinstance(asked, OAuthError):
            return asked
        requester = await self.authenticator.authenticate(asked)
        if isinstance(requester, OAuthError):
            return requester
        answer = await self._judged(request, asked, requester)
        if isinstance(answer, OAuthError):
            return replace(answer, client_id=requester.client.client_id)
        return answer

    def _as_token_request(self, request: BatchRequest) -> TokenRequest | OAuthError:
        certificate = request.certificate
        found = [client for client in self.clients.values() if _is(client, certificate)]
        if len(found) != 1 or (certificate is not None and not self.proxies.isdisjoint(certificate.uris)):
            return _UNKNOWN
        form = {**request.form, "client_id": [found[0].client_id]}
        return TokenRequest(form=form, certificate=certificate, trace_id=request.trace_id, now_ms=request.now_ms)

    async def _judged(self, request: BatchRequest, asked: TokenRequest, requester: Requester) -> Batch | OAuthError:
        order = for_lack_of_proof(requester.client) or await self.grant.judge(asked, requester)
        if isinstance(order, OAuthError):
            return order
        if request.authorization_details and _DETAILS not in order.narrowing:  # never wider than what was asked for
            return OAuthError(OAuthErrorCode.INVALID_AUTHORIZATION_DETAILS, "this server has none for this client")
        grant = requester.client.audiences[order.audience]
        if request.binding is Binding.WORKLOAD:
            order = bound_to_workload(order, grant)
            if isinstance(order, OAuthError):
                return order
        if request.lifetime_ms > grant.max_lifetime:
            return invalid_request("lifetime: longer than this client has for the audience")
        try:
            order = _narrowed(order, request)
            orders = await orders_of(order, request.count, grant=self.grant, request=asked, requester=requester)
            if isinstance(orders, OAuthError):
                return orders
            return await self._minted(request, requester, orders)
        except OrderError:
            return invalid_request("lifetime, htm, htp or digest: no such token can exist")
        except SigningError:
            return _NO_KEY
        except AuditError:  # counted where it happened
            return UNWRITTEN

    async def _minted(self, request: BatchRequest, requester: Requester, orders: Sequence[MintOrder]) -> Batch:
        order, tokens = orders[0], await self.minter.batch(orders)
        self.trail.minted(
            Minting(
                at_ms=request.now_ms,
                door=Door.GRPC,
                method=requester.client.authentication,
                grant_type=CLIENT_CREDENTIALS,
                order=order,
                tokens=tokens,
                trace_id=request.trace_id,
            )
        )
        return Batch(tokens, order)


def _is(client: Client, certificate: PresentedCertificate | None) -> bool:
    if client.authentication is not Method.TLS or client.certificate is None or certificate is None:
        return False
    return client.certificate.matches(certificate)


def _narrowed(order: MintOrder, request: BatchRequest) -> MintOrder:
    binding = {"htm": request.htm, "htp": request.htp, "digest": request.digest and encoded(request.digest)}
    return replace(
        order,
        lifetime_ms=request.lifetime_ms or order.lifetime_ms,
        narrowing={**order.narrowing, **{name: text for name, text in binding.items() if text}},
    )
