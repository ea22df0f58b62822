"""Is this a token of ours that holds now?  Signature, kind, issuer and times; whom it is for is the caller's to judge.

The keys are those that the rings publish: a retired key verifies nothing here, as anywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ott_extauthz.authn.claims import token_from
from ott_extauthz.authn.compact import unverified_from
from ott_extauthz.authn.fault import ClaimsError
from ott_extauthz.authn.signed_claims import signature_fault
from ott_extauthz.issuer.own_keys import own_issuer
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.token import TokenKind, VerifiedToken
from ott_extauthz.ports import KeyRing


@dataclass(frozen=True, slots=True)
class OwnToken:
    """A token of ours that holds now, and its kind."""

    kind: TokenKind
    token: VerifiedToken


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTokens:
    """Knows the tokens of one issuer by its rings.

    ``iat_lead_ms`` is how far the clocks of issuers that share a ring may differ; a token's end has no leeway.
    """

    issuer: str
    rings: Mapping[str, KeyRing]
    iat_lead_ms: int

    def find(self, text: str, *, now_ms: int) -> OwnToken | None:
        """Return the token, or None: which of the reasons it was is nobody's business who asks with a string."""
        unverified = unverified_from(text)
        if isinstance(unverified, Reason) or unverified.header.type not in set(TokenKind):
            return None
        if unverified.claims.get("iss") != self.issuer:
            return None
        if signature_fault(unverified, own_issuer(self.issuer, self.rings)) is not None:
            return None
        kind = TokenKind(unverified.header.type)
        try:
            token = token_from(unverified.claims, kind)
        except ClaimsError:
            return None
        starts_ms = max(token.issued_at_ms, token.not_before_ms or 0) - self.iat_lead_ms
        return OwnToken(kind, token) if starts_ms <= now_ms < token.expires_at_ms else None
