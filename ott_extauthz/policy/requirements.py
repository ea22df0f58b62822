"""Does the token grant what the route asks for?  Clients, scopes, restrictions, age of the login."""

from ott_extauthz.model.reason import Reason
from ott_extauthz.model.token import VerifiedToken
from ott_extauthz.policy.routes import Route


def unmet(route: Route, token: VerifiedToken, now_ms: int) -> Reason | None:
    """Return the first requirement of ``route`` that ``token`` does not meet, or None when all are met."""
    # A narrowed token must never be taken for a wide one by a server that does not know the restriction.
    if token.restrictions:
        return Reason.CONSTRAINT_UNKNOWN
    if route.clients is not None and token.client_id not in route.clients:
        return Reason.CLIENT_DENIED
    if not route.scopes <= token.scope:
        return Reason.SCOPE_MISSING
    if route.max_auth_age_ms is not None and _is_stale(token.auth_time_ms, now_ms, route.max_auth_age_ms):
        return Reason.AUTHENTICATION_TOO_OLD
    return None


def _is_stale(auth_time_ms: int | None, now_ms: int, max_age_ms: int) -> bool:
    return auth_time_ms is None or now_ms - auth_time_ms > max_age_ms
