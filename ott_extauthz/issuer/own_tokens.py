"""Is this a token of ours that holds now?  Signature, kind, issuer and times; whom it is for is the caller's to judge.

The keys are those that the rings publish: a retired key verifies nothing here, as anywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ott_extauthz.authn.claims import token_from
from ott_extauthz.authn.compact import UnverifiedToken, unverified_from
from ott_extauthz.authn.fault import ClaimsError
from ott_extauthz.authn.jwks import keys_from
from ott_extauthz.authn.keys import VerificationKey
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
    """Knows the tokens of one issuer by its rings; there is no leeway, for it is our own clock that set the times."""

    issuer: str
    rings: Mapping[str, KeyRing]

    def find(self, text: str, *, now_ms: int) -> OwnToken | None:
        """Return the token, or None: which of the reasons it was is nobody's business who asks with a string."""
        unverified = unverified_from(text)
        if isinstance(unverified, Reason) or unverified.header.type not in set(TokenKind):
            return None
        if unverified.claims.get("iss") != self.issuer or not self._is_signed(unverified):
            return None
        try:
            token = token_from(unverified.claims)
        except ClaimsError:
            return None
        starts_ms = max(token.issued_at_ms, token.not_before_ms or 0)
        if not starts_ms <= now_ms < token.expires_at_ms:
            return None
        return OwnToken(TokenKind(unverified.header.type), token)

    def _is_signed(self, token: UnverifiedToken) -> bool:
        for ring in self.rings.values():
            key = _keys(ring.jwks).get(token.header.kid)
            if key is not None and token.header.algorithm in key.algorithms:
                return key.verifies(token.header.algorithm, token.signing_input, token.signature)
        return False


@lru_cache(maxsize=16)  # a ring's document is the same bytes until a key's state changes
def _keys(jwks: bytes) -> Mapping[str, VerificationKey]:
    return keys_from(jwks)
