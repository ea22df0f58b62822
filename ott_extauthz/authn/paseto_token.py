"""Is this a PASETO of a trusted issuer, of the kind that was asked for, for this audience, at this time?

The steps and their order are those of :mod:`signed_token`, each with PASETO's own means; the claims are the same.
"""

from dataclasses import dataclass
from typing import Protocol

from ott_extauthz.authn.access_token import AccessTokenVerifier
from ott_extauthz.authn.claims import token_from
from ott_extauthz.authn.fault import ClaimsError
from ott_extauthz.authn.keys import Ed25519Key, TrustedIssuer
from ott_extauthz.authn.one_time_token import OneTimeTokenVerifier
from ott_extauthz.authn.paseto import TYPES, UnverifiedPaseto, is_paseto, signed_by, unverified_from
from ott_extauthz.authn.paseto_times import with_numeric_times
from ott_extauthz.authn.signed_claims import SignatureCheck, rejection_of, signature_fault
from ott_extauthz.authn.signed_token import SignedTokenVerifier
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import VerifiedToken


@dataclass(frozen=True, slots=True, kw_only=True)
class PasetoOneTimeVerifier(OneTimeTokenVerifier):
    """Verifies one-time tokens that come as PASETO; ``trust`` is of issuers that are trusted for PASETO."""

    def verify(
        self, text: str, *, audience: str, now_ms: int, signature: SignatureCheck = signature_fault
    ) -> VerifiedToken | Rejection:
        """Return the token, now believed, or the first reason not to; nobody else looks at a PASETO's signature."""
        return _verified(self, text, audience, now_ms, signature)


@dataclass(frozen=True, slots=True, kw_only=True)
class PasetoAccessVerifier(AccessTokenVerifier):
    """Verifies access tokens and mandates that come as PASETO."""

    def verify(
        self, text: str, *, audience: str, now_ms: int, signature: SignatureCheck = signature_fault
    ) -> VerifiedToken | Rejection:
        """Return the token, now believed, or the first reason not to; nobody else looks at a PASETO's signature."""
        return _verified(self, text, audience, now_ms, signature)


def _verified(
    by: SignedTokenVerifier, text: str, audience: str, now_ms: int, signature: SignatureCheck
) -> VerifiedToken | Rejection:
    if signature is not signature_fault:  # Envoy's jwt_authn knows no PASETO
        return Rejection(Reason.VERIFIED_PAYLOAD_MISSING)
    unverified = unverified_from(text)
    if isinstance(unverified, Reason):
        return Rejection(unverified)
    if unverified.footer.type != TYPES[by.kind]:
        return Rejection(Reason.TOKEN_TYPE_REFUSED)
    issuer = unverified.claims.get("iss")
    trusted = by.trust.get(issuer) if isinstance(issuer, str) else None
    if trusted is None:
        return Rejection(Reason.TOKEN_ISSUER_UNKNOWN)
    unsigned = rejection_of(_signature_fault(unverified, trusted), trusted)
    if unsigned is not None:
        return unsigned
    try:
        token = token_from(with_numeric_times(unverified.claims), by.kind)
    except ClaimsError:
        return Rejection(Reason.TOKEN_CLAIMS_INVALID)
    fault = by.fault_of(token, audience, now_ms)
    return token if fault is None else Rejection(fault)


def _signature_fault(token: UnverifiedPaseto, trusted: TrustedIssuer) -> Reason | None:
    key = trusted.keys.get(token.footer.kid)
    if key is None:
        return Reason.TOKEN_KEY_UNKNOWN if trusted.keys else Reason.KEY_SET_UNAVAILABLE
    if not isinstance(key, Ed25519Key):
        return Reason.TOKEN_ALGORITHM_REFUSED
    return None if signed_by(key, token) else Reason.TOKEN_SIGNATURE_INVALID


class _Verify(Protocol):
    def __call__(
        self, text: str, *, audience: str, now_ms: int, signature: SignatureCheck = signature_fault
    ) -> VerifiedToken | Rejection: ...


@dataclass(frozen=True, slots=True)
class EitherFormat:
    """Takes a token as JWS or as PASETO: the text itself says which, and each has its own trusted issuers."""

    jws: _Verify
    paseto: _Verify

    def __call__(
        self, text: str, *, audience: str, now_ms: int, signature: SignatureCheck = signature_fault
    ) -> VerifiedToken | Rejection:
        """Return the token, or the first reason not to believe it."""
        verify = self.paseto if is_paseto(text) else self.jws
        return verify(text, audience=audience, now_ms=now_ms, signature=signature)
