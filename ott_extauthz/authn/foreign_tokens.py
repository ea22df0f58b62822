"""Is this an access token of a foreign issuer (RFC 9068 §4), for this audience, at this time?

The order, each step refusing on its own:
  1. the compact form and its size
  2. ``typ``: ``at+jwt``, or none at all where the operator said ``plain``; never that of another kind of token
  3. the issuer, its algorithm, its key, the signature
  4. only now the claims: of a plain token, that it is no ID token; then form, audience, times

Such a token comes many times until it ends; its audience may be one of several.  It is never a one-time token and
never a mandate: this is asked on routes for access tokens alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ott_extauthz.authn.access_token import AccessTokenVerifier
from ott_extauthz.authn.compact import UnverifiedToken, unverified_from
from ott_extauthz.authn.fault import ClaimsError
from ott_extauthz.authn.foreign_claims import ForeignTerms, audiences_from, foreign_token_from, is_another_kind
from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.authn.signed_claims import SignatureCheck, signature_fault, signature_rejection
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import TokenKind, VerifiedToken

_UNTYPED: Final = frozenset({"", "jwt"})


@dataclass(frozen=True, slots=True)
class SignedClaims:
    """What an issuer has signed, whoever looked at the signature; ``content`` are the very bytes."""

    type: str
    claims: dict[str, Any] = field(repr=False)
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignTokenVerifier:
    """Verifies access tokens of issuers that are in both ``trust`` and ``terms``; clock bounds in milliseconds."""

    trust: Mapping[str, TrustedIssuer]
    terms: Mapping[str, ForeignTerms]
    iat_lead_ms: int
    exp_leeway_ms: int

    def verify(
        self, text: str, *, audience: str, now_ms: int, signature: SignatureCheck = signature_fault
    ) -> VerifiedToken | Rejection:
        """Return the token, now believed, or the first reason not to."""
        unverified = unverified_from(text)
        if isinstance(unverified, Reason):
            return Rejection(unverified)
        return self.judged(unverified, audience=audience, now_ms=now_ms, signature=signature)

    def judged(
        self, unverified: UnverifiedToken, *, audience: str, now_ms: int, signature: SignatureCheck = signature_fault
    ) -> VerifiedToken | Rejection:
        """Go on from the second step."""
        issuer = unverified.claims.get("iss")
        terms = self.terms.get(issuer) if isinstance(issuer, str) else None
        if not _is_of_type(unverified.header.type, terms or ForeignTerms()):
            return Rejection(Reason.TOKEN_TYPE_REFUSED)
        if terms is None or not isinstance(issuer, str):
            return Rejection(Reason.TOKEN_ISSUER_UNKNOWN)
        unsigned = signature_rejection(unverified, self.trust.get(issuer), signature)
        if unsigned is not None:
            return unsigned
        signed = SignedClaims(unverified.header.type, unverified.claims, unverified.signing_input)
        return self.believed(signed, terms, audience=audience, now_ms=now_ms)

    def believed(
        self, signed: SignedClaims, terms: ForeignTerms, *, audience: str, now_ms: int
    ) -> VerifiedToken | Rejection:
        """Return what signed claims say, or why that is not enough: step 4."""
        claims, is_typed = signed.claims, signed.type == TokenKind.ACCESS
        if not is_typed and is_another_kind(claims, terms):
            return Rejection(Reason.TOKEN_TYPE_REFUSED)
        try:
            if terms.names_of(audience).isdisjoint(audiences_from(claims)):
                return Rejection(Reason.TOKEN_AUDIENCE_MISMATCH)
            token = foreign_token_from(claims, terms, audience=audience, content=signed.content, needs_jti=is_typed)
        except ClaimsError:
            return Rejection(Reason.TOKEN_CLAIMS_INVALID)
        fault = self._fault(token, terms, now_ms)
        return token if fault is None else Rejection(fault)

    def _fault(self, token: VerifiedToken, terms: ForeignTerms, now_ms: int) -> Reason | None:
        if not 0 < token.expires_at_ms - token.issued_at_ms <= terms.max_lifetime_ms:
            return Reason.TOKEN_LIFETIME_TOO_LONG
        # A post-dated auth_time would make an old login look fresh.
        if max(token.issued_at_ms, token.not_before_ms or 0, token.auth_time_ms or 0) > now_ms + self.iat_lead_ms:
            return Reason.TOKEN_NOT_YET_VALID
        if token.expires_at_ms + self.exp_leeway_ms <= now_ms:
            return Reason.TOKEN_EXPIRED
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessTokens:
    """Access tokens of anybody: foreign issuers' by their own terms, everybody else's in our strict form."""

    own: AccessTokenVerifier
    foreign: ForeignTokenVerifier

    def verify(
        self, text: str, *, audience: str, now_ms: int, signature: SignatureCheck = signature_fault
    ) -> VerifiedToken | Rejection:
        """Return the token, now believed, or the first reason not to; its own word says only who is to judge it."""
        unverified = unverified_from(text)
        if isinstance(unverified, Reason):
            return Rejection(unverified)
        issuer = unverified.claims.get("iss")
        is_foreign = isinstance(issuer, str) and issuer in self.foreign.terms
        judge = self.foreign.judged if is_foreign else self.own.judged
        return judge(unverified, audience=audience, now_ms=now_ms, signature=signature)


def _is_of_type(type_: str, terms: ForeignTerms) -> bool:
    return type_ == TokenKind.ACCESS or (terms.is_plain and type_ in _UNTYPED)
