"""Who is a token about, and what may it be used for?  The claims of a token that a client wants to exchange.

Read only after the signature.  What is there is well-formed or the token is refused: nothing that narrows it is ever
left out, and nothing that is copied into a token of ours is wider than its grammar.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from ott_extauthz.authn.base64url import decoded
from ott_extauthz.authn.fault import ClaimsError, instant_ms, text_from
from ott_extauthz.authn.mandates import DETAILS, MANDATE, narrowing_from
from ott_extauthz.issuer.actors import checked_actors
from ott_extauthz.issuer.details import Detail

MOST_METHODS: Final = 16
_MOST_AUDIENCES: Final = 16
_SHA256_BYTES: Final = 32
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")  # RFC 6749 §3.3
_ONE_REQUEST: Final = frozenset({"htm", "htp", "digest"})
_CONTEXT: Final = ("req_wl", "tctx", "rctx")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The claims of a verified token, as far as they pass into another one.

    ``issuer`` is a foreign one's, ``client_id`` of a token of our own: exactly one of them is None.  ``scope`` is empty
    where the token has none.  ``details`` are its mandates; ``confirmation`` holds the digests that it is bound to.
    """

    issuer: str | None = None
    client_id: str | None = None
    name: str
    audiences: frozenset[str]
    scope: frozenset[str]
    issued_at_ms: int
    expires_at_ms: int
    not_before_ms: int | None
    details: tuple[Detail, ...]
    confirmation: Mapping[str, bytes] = field(repr=False)
    auth_time_ms: int | None
    acr: str | None
    amr: tuple[str, ...]
    sid: str | None = field(repr=False)
    txn: str | None
    act: Mapping[str, Any] | None
    may_act: Mapping[str, Any] | None
    context: Mapping[str, Any] = field(repr=False)


def subject_from(claims: Mapping[str, Any], *, foreign: str | None) -> Subject:
    """Return what a token says; ``foreign`` is its issuer, None for our own.

    Raises:
        ClaimsError: naming the first claim that does not fit.
    """
    for name in ("events", *_ONE_REQUEST):
        if name in claims:  # a logout or security event (RFC 8417), or a token for one request
            raise ClaimsError(name)

    def of(name: str, read: Callable[[Mapping[str, Any], str], T]) -> T | None:
        return read(claims, name) if name in claims else None

    return Subject(
        issuer=foreign,
        client_id=text_from(claims, "client_id") if foreign is None else None,
        name=text_from(claims, "sub"),
        audiences=_audiences(claims),
        scope=of("scope", _scope) or frozenset(),
        issued_at_ms=instant_ms(claims, "iat"),
        expires_at_ms=instant_ms(claims, "exp"),
        not_before_ms=of("nbf", instant_ms),
        details=_details(claims),
        confirmation=of("cnf", _confirmation) or {},
        auth_time_ms=of("auth_time", instant_ms),
        acr=of("acr", text_from),
        amr=of("amr", _methods) or (),
        sid=of("sid", text_from),
        txn=of("txn", text_from),
        act=of("act", checked_actors),
        may_act=of("may_act", _object),
        context={name: claims[name] for name in _CONTEXT if foreign is None and name in claims},
    )


def _audiences(claims: Mapping[str, Any]) -> frozenset[str]:
    value = claims.get("aud")
    audiences = value if isinstance(value, list) else [value]
    if not 0 < len(audiences) <= _MOST_AUDIENCES or not all(isinstance(each, str) and each for each in audiences):
        raise ClaimsError("aud")
    return frozenset(audiences)


def _scope(claims: Mapping[str, Any], name: str) -> frozenset[str]:
    value = claims[name]
    if not isinstance(value, str) or not _SCOPE.fullmatch(value):
        raise ClaimsError(name)
    return frozenset(value.split(" "))


def _methods(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = claims[name]
    if not isinstance(value, list) or len(value) > MOST_METHODS:
        raise ClaimsError(name)
    return tuple(text_from({name: each}, name) for each in value)


def _object(claims: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = claims[name]
    if not isinstance(value, dict) or not value:
        raise ClaimsError(name)
    return value


def _confirmation(claims: Mapping[str, Any], name: str) -> Mapping[str, bytes]:
    """Return the members; one that nobody can prove here (RFC 7800 has more) makes the token unusable."""
    members = _object(claims, name)
    digests: dict[str, bytes] = {}
    for member, value in members.items():
        raw = decoded(value) if member in ("x5t#S256", "jkt") and isinstance(value, str) else None
        if raw is None or len(raw) != _SHA256_BYTES:
            raise ClaimsError(name)
        digests[member] = raw
    return digests


def _details(claims: Mapping[str, Any]) -> tuple[Detail, ...]:
    """Return the mandates; the claim ``region`` is one too, spelled otherwise."""
    if narrowing_from(claims, instant_ms(claims, "iat")).restrictions:
        raise ClaimsError(DETAILS)
    region = [{"type": MANDATE, "region": claims["region"]}] if "region" in claims else []
    return (*claims.get(DETAILS, ()), *region)
