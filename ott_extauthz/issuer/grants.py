"""May this client have this token for itself?  The client credentials grant (RFC 6749 §4.4, RFC 8707 §2).

1. the resource: exactly one, and one of the client's audiences
2. the scope: within the client's grant, or refused; never trimmed
"""

from dataclasses import dataclass
from typing import Final, Protocol

from ott_extauthz.issuer.audience_grant import AudienceGrant
from ott_extauthz.issuer.client import Client
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode
from ott_extauthz.issuer.order import MintOrder
from ott_extauthz.issuer.request import Form, Requester, TokenRequest, value, values

CLIENT_CREDENTIALS: Final = "client_credentials"


class Grant(Protocol):
    """One grant type: judges what an authenticated client asks for."""

    async def judge(self, request: TokenRequest, requester: Requester) -> MintOrder | OAuthError:
        """Return the order for a token, bound to what ``requester`` has proven, or the refusal."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials:
    """Judges ``client_credentials`` requests; ``lifetime_ms`` is for audiences that name none."""

    lifetime_ms: int

    async def judge(self, request: TokenRequest, requester: Requester) -> MintOrder | OAuthError:
        """Return the order for a token of the client's own."""
        form, client = request.form, requester.client
        audience = _audience(form, client)
        if isinstance(audience, OAuthError):
            return audience
        grant = client.audiences[audience]
        scope = _scope(form, client, grant)
        if isinstance(scope, OAuthError):
            return scope
        return MintOrder(
            subject=requester.name,
            client_id=client.client_id,
            audience=audience,
            scope=scope,
            lifetime_ms=grant.lifetime_ms(self.lifetime_ms),
            thumbprint=requester.thumbprint,
            jkt=requester.jkt,
            ring=grant.ring,
        )


def _audience(form: Form, client: Client) -> str | OAuthError:
    """Return an audience of the client by its exact name: RFC 8707 has URIs, ours is any name in ``clients.yaml``."""
    resources = values(form, "resource")
    if len(resources) != 1 or resources[0] not in client.audiences:
        description = "exactly one resource, and one that this client is configured for"
        return OAuthError(OAuthErrorCode.INVALID_TARGET, description, client_id=client.client_id)
    return resources[0]


def _scope(form: Form, client: Client, grant: AudienceGrant) -> frozenset[str] | OAuthError:
    granted = frozenset(grant.scopes)
    sent = value(form, "scope")
    asked = frozenset(sent.split(" ")) if sent else granted
    if not asked <= granted:
        description = "the scope is malformed, or wider than this client has for the resource"
        return OAuthError(OAuthErrorCode.INVALID_SCOPE, description, client_id=client.client_id)
    return asked
