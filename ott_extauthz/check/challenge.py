"""Which challenge goes with a refusal (RFC 6750 §3, RFC 9470 §3)?"""

from typing import Final

from ott_extauthz.model.challenge import Challenge
from ott_extauthz.model.reason import REASONS, Reason
from ott_extauthz.policy.routes import Route

OWN_SCHEME: Final = "OTT"
"""The authentication scheme of a one-time token that comes in a header of its own (no registered scheme fits)."""

_UNAUTHORIZED: Final = 401


def challenge_for(reason: Reason, route: Route | None) -> Challenge | None:
    """Return what ``WWW-Authenticate`` should say, or None where a challenge would not help."""
    if route is None:
        return None
    scheme, realm = route.scheme or OWN_SCHEME, route.audience
    if reason is Reason.CREDENTIAL_MISSING:
        return Challenge(scheme, realm)  # no error code when nothing was presented (RFC 6750 §3.1)
    if reason is Reason.CREDENTIAL_DUPLICATED:
        return Challenge(scheme, realm, "invalid_request")
    if reason is Reason.SCOPE_MISSING:
        return Challenge(scheme, realm, "insufficient_scope", scope=" ".join(sorted(route.scopes)))
    if reason is Reason.AUTHENTICATION_TOO_OLD:
        max_age = None if route.max_auth_age_ms is None else route.max_auth_age_ms // 1000
        return Challenge(scheme, realm, "insufficient_user_authentication", max_age_seconds=max_age)
    if REASONS[reason].status == _UNAUTHORIZED:
        return Challenge(scheme, realm, "invalid_token")
    return None
