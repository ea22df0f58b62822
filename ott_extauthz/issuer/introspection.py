"""What does the introspection endpoint answer (RFC 7662 §2)?

1. the form: no parameter twice, a token
2. the client: authenticated as at the token endpoint, and one that may ask at all
3. the token: ours, and holding now; for an audience that this client may ask about; no one-time token

A one-time token is never active here.  Whether it was spent is known only by spending it, which asking must not do; and
"active" would be read as "let it pass", as often as somebody asks.

A token that is not active is told about with that one word, whatever is wrong with it (§2.2).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ott_extauthz.issuer.authentication import Authenticator
from ott_extauthz.issuer.client import Client
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode
from ott_extauthz.issuer.own_tokens import OwnToken, OwnTokens
from ott_extauthz.issuer.request import TokenRequest, doubled, invalid_request, value
from ott_extauthz.issuer.token_type import token_type
from ott_extauthz.model.token import TokenKind

Introspected = Mapping[str, Any]
"""The members of the answer."""

INACTIVE: Final[Introspected] = {"active": False}

_AS_SIGNED: Final = (
    *("iss", "sub", "client_id", "aud", "scope", "cnf", "txn", "acr", "amr", "act", "may_act"),
    *("authorization_details", "region", "htm", "htp", "digest"),  # a resource server must hold to these too
    *("req_wl", "tctx", "rctx"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Introspection:
    """Answers about tokens of our own."""

    authenticator: Authenticator
    tokens: OwnTokens

    async def answer(self, request: TokenRequest) -> Introspected | OAuthError:
        """Return what is known of the token, or the refusal of the question."""
        text = doubled(request.form) or value(request.form, "token") or invalid_request("token is missing")
        if isinstance(text, OAuthError):
            return text
        requester = await self.authenticator.authenticate(request)
        if isinstance(requester, OAuthError):
            return requester
        client = requester.client
        if not client.introspects:
            return replace(_NOT_ALLOWED, client_id=client.client_id)
        found = self.tokens.find(text, now_ms=request.now_ms)
        return INACTIVE if found is None or not _may_know(client, found) else _described(found)


def _may_know(client: Client, found: OwnToken) -> bool:
    return found.kind is not TokenKind.ONE_TIME and found.token.audience in client.introspects


def _described(found: OwnToken) -> Introspected:
    token, claims = found.token, found.token.claims
    instants_ms = {
        "iat": token.issued_at_ms,
        "exp": token.expires_at_ms,
        "nbf": token.not_before_ms,
        "auth_time": token.auth_time_ms,
    }
    confirmation = claims.get("cnf")
    is_dpop_bound = isinstance(confirmation, dict) and "jkt" in confirmation
    return {
        "active": True,
        "token_type": token_type(found.kind, is_dpop_bound=is_dpop_bound),
        **{name: claims[name] for name in _AS_SIGNED if name in claims},
        **{name: at_ms // 1000 for name, at_ms in instants_ms.items() if at_ms is not None},  # whole seconds (§2.2)
    }


_NOT_ALLOWED: Final = OAuthError(OAuthErrorCode.UNAUTHORIZED_CLIENT, "this client may not introspect tokens", 403)
