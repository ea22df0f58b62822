"""What may this client have, of what it asks for?  The part of a token request that every grant type shares.

1. the target: exactly one, by ``resource`` or ``audience`` (RFC 8707 §2, RFC 8693 §2.1)
2. the kind of token
3. the scope: within the client's grant, or refused; never trimmed
4. the details: within the ceiling, or refused (RFC 9396 §5); with whatever a subject token brings
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.mandates import DETAILS
from ott_extauthz.issuer.audience_grant import AudienceGrant
from ott_extauthz.issuer.client import Client
from ott_extauthz.issuer.details import Ceilinged, Detail, Span, asked_details, joined, refused
from ott_extauthz.issuer.kinds import KIND_OF, GrantedToken, TokenTypeUri
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode
from ott_extauthz.issuer.request import Form, TokenRequest, invalid_request, value, values
from ott_extauthz.model.token import TokenKind
from ott_extauthz.ports import Entropy

_IDENTIFIER_BYTES: Final = 16
_NO_SUCH_KIND: Final = invalid_request("requested_token_type: none that this client has for the target")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlement:
    """What a client asked for and may have, but for its details."""

    client_id: str
    audience: str
    grant: AudienceGrant
    kind: TokenKind
    scope: frozenset[str]


def entitlement(form: Form, client: Client) -> Entitlement | OAuthError:
    """Judge target, kind and scope."""
    audience = _audience(form, client)
    if isinstance(audience, OAuthError):
        return audience
    grant = client.audiences[audience]
    kind = _kind(form, grant.tokens)
    if isinstance(kind, OAuthError):
        return kind
    scope = _scope(form, grant)
    if isinstance(scope, OAuthError):
        return scope
    return Entitlement(client_id=client.client_id, audience=audience, grant=grant, kind=kind, scope=scope)


def narrowing(
    request: TokenRequest,
    entitled: Entitlement,
    *,
    kept: Sequence[Detail] = (),
    lifetime_ms: int,
    entropy: Entropy,
) -> dict[str, list[Detail]] | OAuthError:
    """Return what narrows the token to be: the details kept and asked for, and the client's ceiling."""
    asked = asked_details(request.form, request.now_ms)
    if isinstance(asked, OAuthError):
        return asked
    within = Ceilinged(
        ceiling=entitled.grant.ceiling,
        client_id=entitled.client_id,
        audience=entitled.audience,
        new_identifier=lambda: encoded(entropy(_IDENTIFIER_BYTES)),
    )
    details = joined(kept, asked, within, Span(now_ms=request.now_ms, lifetime_ms=lifetime_ms))
    if isinstance(details, OAuthError):
        return details
    if details:
        return {DETAILS: list(details)}
    if entitled.kind is TokenKind.ACCESS and GrantedToken.ACCESS_TOKEN not in entitled.grant.tokens:
        return refused("required: this client has mandates for the target, and a mandate restricts something")
    return {}


def _audience(form: Form, client: Client) -> str | OAuthError:
    """Return an audience of the client by its exact name: RFC 8707 has URIs, ours is any name in ``clients.yaml``."""
    resources, audiences = values(form, "resource"), values(form, "audience")
    named = {*resources, *audiences}
    if len(named) != 1 or len(resources) > 1 or len(audiences) > 1 or not named <= client.audiences.keys():
        description = "exactly one resource or audience, and one that this client is configured for"
        return OAuthError(OAuthErrorCode.INVALID_TARGET, description)
    return named.pop()


def _kind(form: Form, tokens: Sequence[GrantedToken]) -> TokenKind | OAuthError:
    """Return the kind asked for; where none is named, one-time tokens if granted, else the first that is."""
    sent = value(form, "requested_token_type")
    granted = [token.kind for token in tokens]
    if sent is None:
        return TokenKind.ONE_TIME if TokenKind.ONE_TIME in granted else granted[0]
    kind = KIND_OF[TokenTypeUri(sent)] if sent in KIND_OF else None
    return kind if kind in granted and kind is not None else _NO_SUCH_KIND


def _scope(form: Form, grant: AudienceGrant) -> frozenset[str] | OAuthError:
    granted = frozenset(grant.scopes)
    sent = value(form, "scope")
    asked = frozenset(sent.split(" ")) if sent else granted
    if not asked <= granted:
        description = "the scope is malformed, or wider than this client has for the resource"
        return OAuthError(OAuthErrorCode.INVALID_SCOPE, description)
    return asked
