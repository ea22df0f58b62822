"""Is this a token of a trusted issuer, of the kind that was asked for, for this audience, at this time?

The order, each step refusing on its own (RFC 8725 §3, OWASP ASVS V9):
  1. the compact form and its size
  2. ``typ``: no other kind of token passes for this one
  3. the issuer is trusted, its algorithm allowed *for this issuer*, its key known, the algorithm the key's own
  4. the signature
  5. only now the claims: form, audience, times
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ott_extauthz.authn.claims import token_from
from ott_extauthz.authn.compact import UnverifiedToken, unverified_from
from ott_extauthz.authn.fault import ClaimsError
from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.authn.signed_claims import SignatureCheck, signature_fault, signature_rejection
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import MAX_LIFETIME_MS, TokenKind, VerifiedToken


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTokenVerifier:
    """Verifies tokens of one kind against a trust list and the clock's bounds (milliseconds)."""

    kind: ClassVar[TokenKind]
    trust: Mapping[str, TrustedIssuer]
    iat_lead_ms: int
    exp_leeway_ms: int

    def verify(
        self, text: str, *, audience: str, now_ms: int, signature: SignatureCheck = signature_fault
    ) -> VerifiedToken | Rejection:
        """Return the token, now believed, or the first reason not to; ``signature`` judges algorithm, key, step 4."""
        unverified = unverified_from(text)
        if isinstance(unverified, Reason):
            return Rejection(unverified)
        return self.judged(unverified, audience=audience, now_ms=now_ms, signature=signature)

    def judged(
        self, unverified: UnverifiedToken, *, audience: str, now_ms: int, signature: SignatureCheck = signature_fault
    ) -> VerifiedToken | Rejection:
        """Go on from the second step."""
        if unverified.header.type != self.kind:
            return Rejection(Reason.TOKEN_TYPE_REFUSED)
        issuer = unverified.claims.get("iss")
        trusted = self.trust.get(issuer) if isinstance(issuer, str) else None
        unsigned = signature_rejection(unverified, trusted, signature)
        if unsigned is not None:
            return unsigned
        try:
            token = token_from(unverified.claims, self.kind)
        except ClaimsError:
            return Rejection(Reason.TOKEN_CLAIMS_INVALID)
        fault = self.fault_of(token, audience, now_ms)
        return token if fault is None else Rejection(fault)

    def fault_of(self, token: VerifiedToken, audience: str, now_ms: int) -> Reason | None:
        """Return what is wrong with a signed token's audience or times."""
        if token.audience != audience:
            return Reason.TOKEN_AUDIENCE_MISMATCH
        # A careless issuer could post-date iat past the used-list's fence, or outlive what the list remembers.
        if not 0 < token.expires_at_ms - token.issued_at_ms <= MAX_LIFETIME_MS:
            return Reason.TOKEN_LIFETIME_TOO_LONG
        # A post-dated auth_time would make an old login look fresh.
        if max(token.issued_at_ms, token.not_before_ms or 0, token.auth_time_ms or 0) > now_ms + self.iat_lead_ms:
            return Reason.TOKEN_NOT_YET_VALID
        if token.expires_at_ms + self.exp_leeway_ms <= now_ms:
            return Reason.TOKEN_EXPIRED
        return None
