"""What does the token endpoint answer?  One request judged, step by step, and a token minted or none.

The order, each step refusing on its own (RFC 6749 §5.2):
  1. the form: no parameter twice
  2. the grant type: one that this server has
  3. the client: authenticated, in one way only
  4. the DPoP proof, where there is one: good for this request, and never used before; something must bind the token
  5. the grant: what the client may have, never trimmed
  6. the token: minted, bound to what the client has proven
  7. the audit: a token that had to be written down and was not is handed to nobody
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from ott_extauthz.issuer.authentication import Authenticator, unbound
from ott_extauthz.issuer.grants import Grant
from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode
from ott_extauthz.issuer.order import MintOrder, OrderError
from ott_extauthz.issuer.possession import NoProofs, Possession
from ott_extauthz.issuer.request import Form, Requester, TokenRequest, doubled, invalid_request, value
from ott_extauthz.issuer.trail import Door, IssuerTrail, Minting, NoTrail
from ott_extauthz.ports import AuditError, SigningError

_UNABLE: Final = OAuthError(
    OAuthErrorCode.TEMPORARILY_UNAVAILABLE, "no token can be signed at the moment", 503, retry_after_ms=1000
)
UNWRITTEN: Final = OAuthError(
    OAuthErrorCode.TEMPORARILY_UNAVAILABLE, "no token can be written down at the moment", 503, retry_after_ms=1000
)
"""The answer where the audit is required and cannot be written."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A token, the order it was minted by, and the nonce for the client's next DPoP proof where it needs a new one."""

    token: str = field(repr=False)
    order: MintOrder
    dpop_nonce: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEndpoint:
    """Judges token requests; ``grants`` by their ``grant_type``."""

    authenticator: Authenticator
    grants: Mapping[str, Grant]
    minter: Minter
    possession: Possession = field(default_factory=NoProofs)
    trail: IssuerTrail = field(default_factory=NoTrail)

    async def answer(self, request: TokenRequest) -> Issued | OAuthError:
        """Return a token, or the refusal in the words of RFC 6749 §5.2."""
        grant = doubled(request.form) or self._grant(request.form)
        if isinstance(grant, OAuthError):
            return grant
        requester = await self.authenticator.authenticate(request)
        if isinstance(requester, OAuthError):
            return requester
        bound = await self.possession.bind(request, requester)
        if isinstance(bound, OAuthError):
            return replace(bound, client_id=requester.client.client_id)
        granted = unbound(bound.requester) or await self._granted(request, bound.requester, grant)
        # Whatever the answer is, a client whose nonce runs out is told the next one with it (RFC 9449 §8.2).
        return replace(granted, dpop_nonce=bound.dpop_nonce)

    async def _granted(self, request: TokenRequest, requester: Requester, grant: Grant) -> Issued | OAuthError:
        order = await grant.judge(request, requester)
        if isinstance(order, OAuthError):
            return replace(order, client_id=requester.client.client_id)
        return await self._issued(request, requester, order)

    async def _issued(self, request: TokenRequest, requester: Requester, order: MintOrder) -> Issued | OAuthError:
        try:
            tokens = await self.minter.issue([order])
            self.trail.minted(
                Minting(
                    at_ms=request.now_ms,
                    door=Door.TOKEN,
                    method=requester.client.authentication,
                    grant_type=value(request.form, "grant_type") or "",
                    order=order,
                    tokens=tokens,
                    trace_id=request.trace_id,
                )
            )
        except OrderError as error:  # what was asked for makes a token too long, or its subject token expired meanwhile
            return replace(invalid_request(f"no such token can be made: {error}"), client_id=order.client_id)
        except SigningError:  # the ring has told its listener why; a client learns only that it may come again
            return replace(_UNABLE, client_id=order.client_id)
        except AuditError:  # counted where it happened
            return replace(UNWRITTEN, client_id=order.client_id)
        return Issued(tokens[0].text, order)

    def _grant(self, form: Form) -> Grant | OAuthError:
        grant_type = value(form, "grant_type")
        if grant_type is None:
            return invalid_request("grant_type is missing")
        unsupported = OAuthError(OAuthErrorCode.UNSUPPORTED_GRANT_TYPE, "this server does not have this grant type")
        return self.grants.get(grant_type, unsupported)
