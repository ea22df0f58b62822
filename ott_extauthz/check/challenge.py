"""Which challenges go with a refusal (RFC 6750 §3, RFC 9449 §7.1, RFC 9470 §3)?

- Where a route takes one of several credentials and none came, or one under a scheme that is not its own, each of
  them is a way to come again.
- What is wrong with a proof is said under the scheme DPoP, wherever the token stood; there ``algs`` says what proofs
  may be signed with.
"""

from dataclasses import replace
from typing import Final

from ott_extauthz.authn.dpop import DPOP_ALGORITHMS
from ott_extauthz.model.challenge import Challenge
from ott_extauthz.model.reason import REASONS, Reason
from ott_extauthz.policy.routes import Asks, CredentialKind, Route

OWN_SCHEME: Final = "OTT"
"""The authentication scheme of a one-time token that comes in a header of its own (no registered scheme fits)."""

_SCHEMES: Final = {
    CredentialKind.API_KEY: "ApiKey",
    CredentialKind.SIGNED_REQUEST: "Signature",
    CredentialKind.CERTIFICATE: "MutualTLS",
}
_UNAUTHORIZED: Final = 401
_DPOP: Final = "DPoP"
_ALGS: Final = " ".join(DPOP_ALGORITHMS)
_OF_PROOFS: Final = {
    Reason.DPOP_PROOF_MISSING: "invalid_dpop_proof",
    Reason.DPOP_PROOF_INVALID: "invalid_dpop_proof",
    Reason.DPOP_PROOF_REPLAYED: "invalid_dpop_proof",
    Reason.DPOP_NONCE_REQUIRED: "use_dpop_nonce",
    Reason.DPOP_KEY_MISMATCH: "invalid_token",
}


def challenges_for(reason: Reason, route: Route | None, asks: Asks | None) -> tuple[Challenge, ...]:
    """Return what ``WWW-Authenticate`` should say; nothing where a challenge would not help."""
    if route is None:
        return ()
    found = [_challenge(reason, route, each) for each in ((asks,) if asks else route.parts)]
    if asks is not None and reason is Reason.CREDENTIAL_SCHEME_REFUSED and route.credential is CredentialKind.ANY_OF:
        found += [_challenge(Reason.CREDENTIAL_MISSING, route, each) for each in route.parts if each != asks]
    return tuple(dict.fromkeys(_with_algs(challenge) for challenge in found if challenge is not None))


def _with_algs(challenge: Challenge) -> Challenge:
    return replace(challenge, algs=_ALGS) if challenge.scheme.lower() == _DPOP.lower() else challenge


def _challenge(reason: Reason, route: Route, asks: Asks) -> Challenge | None:
    scheme, realm = scheme_of(asks), route.audience or route.name
    if reason in _OF_PROOFS:
        return Challenge(_DPOP, realm, _OF_PROOFS[reason])
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


def scheme_of(asks: Asks) -> str:
    """Return the authentication scheme of a credential."""
    if asks.cookie is not None:
        return "Bearer"  # a cookie is no scheme; the same token would be taken in the header
    return asks.scheme or _SCHEMES.get(asks.credential, OWN_SCHEME)
