"""What does an access token of a foreign issuer say (RFC 9068 §2.2, RFC 7519 §4), in that issuer's own words?

Read only after the signature.  Which claims name the scope and the client is the operator's word; every other claim
has its registered name and form.  A token that narrows itself in a way we do not know is refused later, never widened.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from ott_extauthz.authn.actors import actor_from
from ott_extauthz.authn.claims import confirmation_from
from ott_extauthz.authn.fault import ClaimsError, instant_ms, text_from
from ott_extauthz.authn.mandates import narrowing_from
from ott_extauthz.model.token import TokenId, TokenKind, VerifiedToken

MOST_AUDIENCES: Final = 16
MOST_SCOPES: Final = 256
_SCOPE_TOKEN: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 §3.3
_OF_ID_TOKENS: Final = frozenset({"nonce", "at_hash", "c_hash", "s_hash", "events"})
"""Claims of ID tokens (OpenID Connect Core 1.0 §2, §3.3.2.11), and of logout and security events (RFC 8417)."""

_OF_CLIENTS: Final = ("client_id", "azp", "cid", "appid")
_OF_ACCESS_TOKENS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"token_use": ("access",), "typ": ("Bearer", "DPoP")}
)
"""Claims by which some issuers tell their kinds of tokens apart, and what they say of an access token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignTerms:
    """How one foreign issuer writes its access tokens.

    ``is_plain``: the type ``at+jwt`` may be missing.  ``audiences``: our audience to the names that it has for it; one
    that is not there has our own name.  ``scope_claim`` and ``client_claim`` say what a token may do, and whose it is.
    ``max_lifetime_ms`` is from ``iat`` to ``exp``.
    """

    is_plain: bool = False
    audiences: Mapping[str, frozenset[str]] = field(default_factory=dict)
    scope_claim: str = "scope"
    client_claim: str = "client_id"
    max_lifetime_ms: int = 86_400_000

    def names_of(self, audience: str) -> frozenset[str]:
        """Return the names under which the issuer knows one of our audiences."""
        return self.audiences.get(audience, frozenset({audience}))


def is_another_kind(claims: Mapping[str, Any], terms: ForeignTerms) -> bool:
    """Whether a token without an explicit type may be an ID token, or anything else that its issuer signs.

    An access token says what it is good for, and is for an API, never for the client that asked for it; an ID token
    is for its client (RFC 8725 §3.12, RFC 9068 §5).
    """
    if not _OF_ID_TOKENS.isdisjoint(claims) or terms.scope_claim not in claims or terms.client_claim not in claims:
        return True
    if any(name in claims and claims[name] not in said for name, said in _OF_ACCESS_TOKENS.items()):
        return True
    audiences = claims.get("aud")
    named = audiences if isinstance(audiences, list) else [audiences]
    return any(name in claims and claims[name] in named for name in {*_OF_CLIENTS, terms.client_claim})


def foreign_token_from(
    claims: dict[str, Any], terms: ForeignTerms, *, audience: str, content: bytes, needs_jti: bool
) -> VerifiedToken:
    """Return the token that these (signed) claims describe, as one for ``audience``, which the caller has found in it.

    ``content`` names a token that has no ``jti``.

    Raises:
        ClaimsError: naming the first claim that does not fit.
    """
    issued_at_ms = instant_ms(claims, "iat")
    narrowing = narrowing_from(claims, issued_at_ms)
    id_ = TokenId(text_from(claims, "iss"), _jti(claims, content, is_needed=needs_jti))
    return VerifiedToken(
        kind=TokenKind.ACCESS,
        id=id_,
        digest=id_.digest,
        subject=text_from(claims, "sub"),
        client_id=text_from(claims, terms.client_claim),
        audience=audience,
        issued_at_ms=issued_at_ms,
        expires_at_ms=instant_ms(claims, "exp"),
        not_before_ms=instant_ms(claims, "nbf") if "nbf" in claims else None,
        confirmation=confirmation_from(claims),
        scope=scope_from(claims, terms.scope_claim),
        txn=text_from(claims, "txn") if "txn" in claims else None,
        auth_time_ms=instant_ms(claims, "auth_time") if "auth_time" in claims else None,
        actor=actor_from(claims),
        restrictions=narrowing.restrictions,
        mandates=narrowing.mandates,
        binding=narrowing.binding,
        claims=claims,
    )


def audiences_from(claims: Mapping[str, Any]) -> list[str]:
    """Return whom the token is for: a text, or a list of texts (RFC 7519 §4.1.3).

    Raises:
        ClaimsError: there is none, there are too many, or one is no text.
    """
    value = claims.get("aud")
    listed = value if isinstance(value, list) else [value]
    if not 0 < len(listed) <= MOST_AUDIENCES:
        raise ClaimsError("aud")
    return [text_from({"aud": each}, "aud") for each in listed]


def scope_from(claims: Mapping[str, Any], name: str) -> frozenset[str]:
    """Return what the token is good for: a text of words (RFC 8693 §4.2), or a list of words.

    Raises:
        ClaimsError: it is neither, or a word is outside RFC 6749's grammar; a list's word with a space in it would
            come out as two.
    """
    value = claims.get(name, [])
    words = value.split(" ") if isinstance(value, str) else value
    if not isinstance(words, list) or len(words) > MOST_SCOPES:
        raise ClaimsError(name)
    if not all(isinstance(word, str) and _SCOPE_TOKEN.fullmatch(word) for word in words):
        raise ClaimsError(name)
    return frozenset(words)


def _jti(claims: Mapping[str, Any], content: bytes, *, is_needed: bool) -> str:
    if is_needed or "jti" in claims:
        return text_from(claims, "jti")
    return "sha-256:" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
