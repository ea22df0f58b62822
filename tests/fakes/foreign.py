"""A foreign identity provider that signs access tokens, ID tokens and whatever else it is told to."""

from typing import Any

from ott_extauthz.authn.access_token import AccessTokenVerifier
from ott_extauthz.authn.foreign_claims import ForeignTerms
from ott_extauthz.authn.foreign_tokens import AccessTokens, ForeignTokenVerifier
from ott_extauthz.authn.keys import IssuersFor
from tests.fakes.issuer import ISSUER, NOW_MS, FakeIssuer

IDP = "https://login.casino.example"
OTHER_IDP = "https://login.other.example"
PLAIN = ForeignTerms(is_plain=True, scope_claim="scp", client_claim="azp")


class FakeIdp(FakeIssuer):
    """Holds one key of its own."""

    def __init__(self, issuer: str = IDP, kid: str = "idp-1", seed: bytes = b"\7" * 32) -> None:
        super().__init__(issuer, kid, seed)

    def access_claims(self, now_ms: int = NOW_MS, **changes: Any) -> dict[str, Any]:
        """The claims of an RFC 9068 access token, in whole seconds as such issuers write them."""
        claims = {
            "iss": self.issuer,
            "sub": "player-7",
            "client_id": "lobby",
            "aud": ["wallet.api", "profile.api"],
            "jti": "a1",
            "iat": now_ms // 1000 - 60,
            "exp": now_ms // 1000 + 3600,
            "scope": "wallet:read wallet:debit",
        } | changes
        return {name: value for name, value in claims.items() if value is not None}

    def access_token(self, *, type_: str | None = "at+jwt", now_ms: int = NOW_MS, **changes: Any) -> str:
        return self.token(self.access_claims(now_ms, **changes), {"typ": type_})

    def plain_token(self, *, type_: str | None = "JWT", **changes: Any) -> str:
        """An access token without a type of its own, in another vendor's words."""
        own = {"client_id": None, "scope": None, "azp": "lobby", "scp": "wallet:read", "jti": None}
        return self.access_token(type_=type_, **(own | changes))


def access_tokens_of(terms: dict[str, ForeignTerms], *idps: FakeIssuer) -> AccessTokens:
    """What judges the access tokens of our own issuer and of these foreign ones."""
    trust = {issuer.issuer: issuer.trusted() for issuer in (FakeIssuer(), *idps)}
    counted = IssuersFor(trust, [ISSUER, *terms])
    return AccessTokens(
        own=AccessTokenVerifier(trust=counted, iat_lead_ms=500, exp_leeway_ms=2000),
        foreign=ForeignTokenVerifier(trust=counted, terms=terms, iat_lead_ms=500, exp_leeway_ms=2000),
    )
