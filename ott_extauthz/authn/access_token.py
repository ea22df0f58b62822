"""Is this a JWT access token (RFC 9068 §4), and is it a mandate?

- ``typ`` is ``at+jwt``: a one-time token never passes for one that may come again, nor the other way round.
- ``aud`` is one audience, as a text or as a list of that one text: with a second audience in it, the servers of that
  one could call here with a token that they were shown.
- It lives no longer than a one-time token: until it ends, nothing takes it back.
- A mandate is an access token narrowed by at least one detail of type ``mandate`` (RFC 9396).
"""

from dataclasses import dataclass
from typing import ClassVar

from ott_extauthz.authn.mandates import DETAILS
from ott_extauthz.authn.signed_claims import SignatureCheck, signature_fault
from ott_extauthz.authn.signed_token import SignedTokenVerifier
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import TokenKind, VerifiedToken


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessTokenVerifier(SignedTokenVerifier):
    """Verifies access tokens."""

    kind: ClassVar[TokenKind] = TokenKind.ACCESS

    def verify_mandate(
        self, text: str, *, audience: str, now_ms: int, signature: SignatureCheck = signature_fault
    ) -> VerifiedToken | Rejection:
        """Return an access token that is a mandate, or the first reason why this is none."""
        token = self.verify(text, audience=audience, now_ms=now_ms, signature=signature)
        if isinstance(token, Rejection) or is_mandate(token):
            return token
        return Rejection(Reason.MANDATE_MISSING)


def is_mandate(token: VerifiedToken) -> bool:
    """Whether a detail narrows it; the claim ``region`` alone makes no mandate."""
    return any(mandate.origin.startswith(DETAILS) for mandate in token.mandates)
