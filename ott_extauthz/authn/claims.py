"""Do the claims of a one-time token have their types and grammars (RFC 7519 §4, 9068 §2.2, 6749)?

Checked only after the signature.  Times and audience are judged in :mod:`one_time_token`; here is only their form.
"""

import re
from typing import Any, Final

from ott_extauthz.authn.base64url import decoded
from ott_extauthz.authn.fault import ClaimsError, instant_ms
from ott_extauthz.authn.mandates import narrowing_from
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.token import Confirmation, TokenId, VerifiedToken

MIN_JTI_CHARACTERS: Final = 22  # 128 random bits in base64url
MAX_TEXT: Final = 512
_SHA256_BYTES: Final = 32
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")  # RFC 6749 §3.3
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def token_from(claims: dict[str, Any]) -> VerifiedToken:
    """Return the token these (signed) claims describe.

    Raises:
        ClaimsError: naming the first claim that does not fit.
    """
    id_ = TokenId(_text(claims, "iss"), _jti(claims))
    issued_at_ms = instant_ms(claims, "iat")
    narrowing = narrowing_from(claims, issued_at_ms)
    return VerifiedToken(
        id=id_,
        digest=id_.digest,
        subject=_text(claims, "sub"),
        client_id=_text(claims, "client_id"),
        audience=_text(claims, "aud"),
        issued_at_ms=issued_at_ms,
        expires_at_ms=instant_ms(claims, "exp"),
        not_before_ms=instant_ms(claims, "nbf") if "nbf" in claims else None,
        confirmation=_confirmation(claims),
        scope=_scope(claims),
        txn=_text(claims, "txn") if "txn" in claims else None,
        auth_time_ms=instant_ms(claims, "auth_time") if "auth_time" in claims else None,
        restrictions=narrowing.restrictions,
        mandates=narrowing.mandates,
        binding=narrowing.binding,
        claims=claims,
    )


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or _CONTROL.search(value):
        raise ClaimsError(name)
    return value


def _jti(claims: dict[str, Any]) -> str:
    value = _text(claims, "jti")
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


def _confirmation(claims: dict[str, Any]) -> Confirmation:
    if "cnf" not in claims:
        return Confirmation()
    members = claims["cnf"]
    if not isinstance(members, dict) or not members:
        raise ClaimsError("cnf")
    others = tuple(sorted(name for name in members if name != "x5t#S256"))
    return Confirmation(_thumbprint(members["x5t#S256"]) if "x5t#S256" in members else None, others)


def _thumbprint(value: Any) -> Thumbprint:  # noqa: ANN401 - JSON
    raw = decoded(value) if isinstance(value, str) else None
    if raw is None or len(raw) != _SHA256_BYTES:
        raise ClaimsError("cnf")
    return Thumbprint(raw)
