"""Do the claims of a token have their types and grammars (RFC 7519 §4, 9068 §2.2, 6749)?

Checked only after the signature.  Times and audience are judged in :mod:`signed_token`; here is only their form.
A one-time token is held to more than an access token: ``jti`` names a use, and ``aud`` is a text.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from ott_extauthz.authn.actors import actor_from
from ott_extauthz.authn.base64url import decoded
from ott_extauthz.authn.fault import MAX_TEXT, ClaimsError, instant_ms, text_from
from ott_extauthz.authn.mandates import narrowing_from
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.token import Confirmation, TokenId, TokenKind, VerifiedToken

__all__ = ["MAX_TEXT", "MIN_JTI_CHARACTERS", "confirmation_from", "token_from"]

MIN_JTI_CHARACTERS: Final = 22  # 128 random bits in base64url
_SHA256_BYTES: Final = 32
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")  # RFC 6749 §3.3


def token_from(claims: dict[str, Any], kind: TokenKind = TokenKind.ONE_TIME) -> VerifiedToken:
    """Return the token these (signed) claims describe.

    Raises:
        ClaimsError: naming the first claim that does not fit.
    """
    is_once = kind is TokenKind.ONE_TIME
    id_ = TokenId(text_from(claims, "iss"), _long_jti(claims) if is_once else text_from(claims, "jti"))
    issued_at_ms = instant_ms(claims, "iat")
    narrowing = narrowing_from(claims, issued_at_ms)
    return VerifiedToken(
        kind=kind,
        id=id_,
        digest=id_.digest,
        subject=text_from(claims, "sub"),
        client_id=text_from(claims, "client_id"),
        audience=text_from(claims, "aud") if is_once else _audience(claims),
        issued_at_ms=issued_at_ms,
        expires_at_ms=instant_ms(claims, "exp"),
        not_before_ms=instant_ms(claims, "nbf") if "nbf" in claims else None,
        confirmation=confirmation_from(claims),
        scope=_scope(claims),
        txn=text_from(claims, "txn") if "txn" in claims else None,
        auth_time_ms=instant_ms(claims, "auth_time") if "auth_time" in claims else None,
        actor=actor_from(claims),
        restrictions=narrowing.restrictions,
        mandates=narrowing.mandates,
        binding=narrowing.binding,
        claims=claims,
    )


def _audience(claims: dict[str, Any]) -> str:
    """Return the one audience; RFC 7519 §4.1.3 also allows it to stand in a list."""
    value = claims.get("aud")
    return text_from({"aud": value[0]} if isinstance(value, list) and len(value) == 1 else claims, "aud")


def _long_jti(claims: dict[str, Any]) -> str:
    value = text_from(claims, "jti")
    if len(value) < MIN_JTI_CHARACTERS:
        raise ClaimsError("jti")
    return value


def _scope(claims: dict[str, Any]) -> frozenset[str]:
    if "scope" not in claims:
        return frozenset()
    value = claims["scope"]
    if not isinstance(value, str) or not _SCOPE.fullmatch(value):
        raise ClaimsError("scope")
    return frozenset(value.split(" "))


def confirmation_from(claims: Mapping[str, Any]) -> Confirmation:
    """Return what the token is bound to.

    Raises:
        ClaimsError: ``cnf`` is malformed.
    """
    if "cnf" not in claims:
        return Confirmation()
    members = claims["cnf"]
    if not isinstance(members, dict) or not members:
        raise ClaimsError("cnf")
    return Confirmation(
        x5t_s256=_thumbprint(members["x5t#S256"]) if "x5t#S256" in members else None,
        jkt=_thumbprint(members["jkt"]) if "jkt" in members else None,
        others=tuple(sorted(members.keys() - {"x5t#S256", "jkt"})),
    )


def _thumbprint(value: Any) -> Thumbprint:  # noqa: ANN401 - JSON
    raw = decoded(value) if isinstance(value, str) else None
    if raw is None or len(raw) != _SHA256_BYTES:
        raise ClaimsError("cnf")
    return Thumbprint(raw)
