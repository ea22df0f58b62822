"""Is this a token that may be exchanged at all?  One of our own, or a user's of a foreign issuer we trust (RFC 8693).

The order, each step refusing on its own:
  1. the compact form and its size
  2. the issuer: our own, or one of `issuer.subject_issuers`, and the type of token that it may be exchanged as
  3. ``typ``: no other kind of token passes for the one it is said to be (RFC 8725 §3.11)
  4. the signature, by an algorithm allowed for this issuer and a key of its own
  5. only now the claims: form, audience, times

A one-time token is never exchanged: it is for one call, and an exchange would make others of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ott_extauthz.authn.compact import UnverifiedToken, unverified_from
from ott_extauthz.authn.fault import ClaimsError
from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.authn.signed_claims import signature_fault
from ott_extauthz.issuer.kinds import TokenTypeUri
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode
from ott_extauthz.issuer.request import invalid_request
from ott_extauthz.issuer.subject import Subject, subject_from
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.token import TokenKind

_JWT: Final = frozenset({"", "jwt"})  # OpenID Connect Core 1.0 leaves it out, or says no more than this
_ACCESS: Final = frozenset({TokenKind.ACCESS.value})
_NO_KEYS: Final = OAuthError(
    OAuthErrorCode.TEMPORARILY_UNAVAILABLE, "the keys of the token's issuer are not there at the moment", 503
)
_OWN_TYPES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        TokenTypeUri.ACCESS_TOKEN: _ACCESS,
        TokenTypeUri.JWT: _ACCESS,
        TokenTypeUri.TXN_TOKEN: frozenset({TokenKind.TRANSACTION.value}),
    }
)
FOREIGN_TYPES: Final[Mapping[str, tuple[TokenTypeUri, frozenset[str]]]] = MappingProxyType(
    {
        "id_token": (TokenTypeUri.ID_TOKEN, _JWT),
        "access_token": (TokenTypeUri.ACCESS_TOKEN, _ACCESS),
        "jwt": (TokenTypeUri.JWT, _JWT),
    }
)
"""What `token_types` of a foreign issuer may say: the token type of RFC 8693, and the ``typ`` that such a token has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignRules:
    """What is asked of a foreign issuer's tokens: ``audience`` is among theirs, ``token_types`` of FOREIGN_TYPES.

    ``limits_scope``: their scope bounds what they are exchanged for.  ``prefix`` goes before their ``sub``.
    """

    audience: str
    token_types: frozenset[str]
    limits_scope: bool = True
    prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectTokens:
    """Verifies tokens that are to be exchanged.

    ``own`` are our keys as they are now.  ``trust`` are those of the foreign issuers, whatever follows them, and
    ``rules`` what is asked of each; one that stands in only one of the two is not trusted.
    """

    own: Callable[[], TrustedIssuer]
    trust: Mapping[str, TrustedIssuer]
    rules: Mapping[str, ForeignRules]
    iat_lead_ms: int

    def verified(self, text: str, type_uri: str, now_ms: int) -> Subject | OAuthError:
        """Return what the token says, now believed; its subject still as the token names it."""
        token = unverified_from(text)
        if isinstance(token, Reason):
            return _refused("not a compact JWS of ours or of a trusted issuer")
        own = self.own()
        issuer = token.claims.get("iss")
        foreign = issuer if isinstance(issuer, str) and issuer != own.issuer else None
        trusted = own if issuer == own.issuer else self.trust.get(foreign or "")
        types = _OWN_TYPES if foreign is None else self._types(foreign)
        if trusted is None or not types:
            return _refused("its issuer is not one whose tokens are exchanged here")
        if foreign is None and token.header.type == TokenKind.ONE_TIME:
            return _refused("a one-time token is for one call and is never exchanged")
        if token.header.type not in types.get(type_uri, frozenset()):
            return _refused("not of the type it is said to be, or of a type that is not exchanged")
        fault = signature_fault(token, trusted)
        if fault is Reason.KEY_SET_UNAVAILABLE:  # no fault of the token's: asking again may help
            return _NO_KEYS
        if fault is not None:
            return _refused("its signature does not hold")
        return self._believed(token, foreign, now_ms)

    def name_of(self, subject: Subject) -> str:
        """Return the subject's name in tokens of ours."""
        return subject.name if subject.issuer is None else self.rules[subject.issuer].prefix + subject.name

    def scope_of(self, subject: Subject) -> frozenset[str] | None:
        """Return what bounds the scope of the token to be; None where the issuer's scopes do not."""
        return subject.scope if subject.issuer is None or self.rules[subject.issuer].limits_scope else None

    def _types(self, foreign: str) -> Mapping[str, frozenset[str]]:
        rules = self.rules.get(foreign)
        return {} if rules is None else dict(FOREIGN_TYPES[name] for name in rules.token_types)

    def _believed(self, token: UnverifiedToken, foreign: str | None, now_ms: int) -> Subject | OAuthError:
        try:
            subject = subject_from(token.claims, foreign=foreign)
        except ClaimsError as error:
            return _refused(f"its claim {error} is missing, malformed, or not to be exchanged")
        if foreign is not None and self.rules[foreign].audience not in subject.audiences:
            return _refused("it is for another audience")
        soon = now_ms + self.iat_lead_ms
        # A post-dated auth_time would make an old login look fresh.
        if max(subject.issued_at_ms, subject.not_before_ms or 0, subject.auth_time_ms or 0) > soon:
            return _refused("it is from the future")
        if subject.expires_at_ms <= now_ms:  # no leeway: what is made of it lives no longer
            return _refused("it has expired")
        return subject


def _refused(description: str) -> OAuthError:
    return invalid_request(f"the token cannot be exchanged: {description}")  # RFC 8693 §2.2.2
