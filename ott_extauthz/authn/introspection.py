"""What does an issuer say of an opaque token (RFC 7662 §2.2), and does that make it good here, now?

Two steps, for an answer may be kept and a decision may not (CVE-2021-32701):
  1. the document: bounded, strict JSON, ``active`` a boolean; one that is none of this is the issuer's fault
  2. at each Check: issuer, kind, claims, audience, times; what binds and narrows the token is judged as in any token

- ``active: false`` is the one word of its answer; nothing that stands beside it is read.
- A refresh token is active, too, in the answers of many issuers, and so is an ID token in some: ``token_type``, and
  what some issuers say beside it (``token_use``, ``typ``), keep them out.
- ``aud`` may name several: one of them is ours.
- A member that we need and do not find is a refusal, unless the operator's ``may_lack`` has it.
"""

import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ott_extauthz.authn.base64url import decoded, encoded
from ott_extauthz.authn.claims import token_from
from ott_extauthz.authn.fault import ClaimsError, instant_ms, text_from
from ott_extauthz.authn.strict_json import NotStrictJsonError, object_from
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import MAX_LIFETIME_MS, MAX_TOKEN_BYTES, TokenId, TokenKind, VerifiedToken

MAX_ANSWER_BYTES: Final = 65_536
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # b64token, RFC 6750 §2.1
_JWS_DOTS, _JWE_DOTS = 2, 4
_NOT_BASE64: Final = re.compile(r"[^A-Za-z0-9+/_-]")
_OBJECT: Final = re.compile(rb'\s*\{\s*["}]')
"""A brace alone begins one opaque token in 256, and one in 26 of those in hex."""
_TO_STANDARD: Final = str.maketrans("-_", "+/")
_TYPES: Final = frozenset({"bearer", "dpop"})
_BESIDE: Final = {"token_use": frozenset({"access_token", "access"}), "typ": frozenset({*_TYPES, "at+jwt"})}
_MOST_AUDIENCES: Final = 16
_BEGINNING_OF_TIME: Final = 1
"""``iat`` of a token whose issuer does not tell it: whoever asks how young it is hears that it is not."""


class AnswerError(ValueError):
    """Not an answer to an introspection request; the message quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Introspected:
    """What the issuer knows: ``members`` None is a token that is not active."""

    members: Mapping[str, Any] | None = field(repr=False)

    @property
    def ends_at_ms(self) -> int | None:
        """When the token ends, in milliseconds; None where the answer does not say so in a way that we read."""
        try:
            return instant_ms(self.members or {}, "exp")
        except ClaimsError:
            return None


INACTIVE: Final = Introspected(None)


def introspected_from(document: bytes) -> Introspected:
    """Return what a document says.

    Raises:
        AnswerError: it is too large, not one strict JSON object, or ``active`` is no boolean.
    """
    if len(document) > MAX_ANSWER_BYTES:
        raise AnswerError("too large")
    try:
        members = object_from(document)
    except NotStrictJsonError as error:
        raise AnswerError("not strict JSON") from error
    if not isinstance(members.get("active"), bool):
        raise AnswerError("active is no boolean")
    return Introspected(members) if members["active"] else INACTIVE


def unsendable(text: str) -> Reason | None:
    """Return why nobody is asked about a text: no token looks like it (RFC 6750 §2.1)."""
    if len(text) > MAX_TOKEN_BYTES:
        return Reason.TOKEN_TOO_LARGE
    return None if _TOKEN.fullmatch(text) else Reason.TOKEN_MALFORMED


def issuer_of_jwt(text: str) -> str | None:
    """Return whom a JWT names as its issuer, unbelieved; empty where it names nobody, None where it is no JWT.

    What is a JWT is told by its first part, which begins a JSON object: whatever else is wrong with it, the rest of
    its spelling included, it is nobody's opaque token.  Two dots alone say nothing: `ya29.c.…` is an opaque one.
    """
    parts = text.split(".")
    if len(parts) <= _JWS_DOTS or not _begins_an_object(parts[0]):
        return None
    if len(parts) - 1 not in (_JWS_DOTS, _JWE_DOTS) or decoded(parts[0]) is None:
        return ""
    try:
        issuer = object_from(decoded(parts[1]) or b"").get("iss")
    except NotStrictJsonError:
        return ""
    return issuer if isinstance(issuer, str) else ""


def _begins_an_object(part: str) -> bool:
    """Whether some reader of base64 finds the beginning of a JSON object here: any alphabet, any length, stray bits.

    Some read over what is no base64.  Whoever is shown a token that is misspelled can spell it right, and use it.
    """
    read = _NOT_BASE64.sub("", part).translate(_TO_STANDARD)
    return _OBJECT.match(binascii.a2b_base64(read + "A" * (-len(read) % 4))) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRules:
    """How the answers of one issuer are read; times in milliseconds.

    ``audiences`` maps a route's audience to the names it goes by there; one that is not in it has its own name.
    ``may_lack`` are members that need not be there: ``aud``, ``iat``, ``sub`` (the client itself is the subject, then),
    ``token_type``.
    """

    issuer: str
    audiences: Mapping[str, frozenset[str]] = field(default_factory=dict)
    may_lack: frozenset[str] = frozenset()
    is_single_use: bool = False
    iat_lead_ms: int
    exp_leeway_ms: int

    def token(self, text: str, found: Introspected, *, audience: str, now_ms: int) -> VerifiedToken | Rejection:
        """Return the token that was asked about, now believed, or the first reason not to."""
        members = found.members
        if members is None:
            return Rejection(Reason.TOKEN_INACTIVE)
        if members.get("iss", self.issuer) != self.issuer:
            return Rejection(Reason.TOKEN_ISSUER_UNKNOWN)
        if not self._is_access_token(members):
            return Rejection(Reason.TOKEN_TYPE_REFUSED)
        try:
            named = self._audiences(members)
            token = self._read(text, members, audience)
        except ClaimsError:
            return Rejection(Reason.TOKEN_CLAIMS_INVALID)
        if named is not None and named.isdisjoint(self.audiences.get(audience, {audience})):
            return Rejection(Reason.TOKEN_AUDIENCE_MISMATCH)
        fault = self._untimely(token, now_ms)
        return token if fault is None else Rejection(fault)

    def _is_access_token(self, members: Mapping[str, Any]) -> bool:
        if "token_type" not in members and "token_type" not in self.may_lack:
            return False
        said = {"token_type": _TYPES} | _BESIDE
        return all(str(members[name]).lower() in words for name, words in said.items() if name in members)

    def _audiences(self, members: Mapping[str, Any]) -> frozenset[str] | None:
        if "aud" not in members and "aud" in self.may_lack:
            return None
        value = members.get("aud")
        listed = value if isinstance(value, list) else [value]
        if not 0 < len(listed) <= _MOST_AUDIENCES:
            raise ClaimsError("aud")
        return frozenset(text_from({"aud": each}, "aud") for each in listed)

    def _read(self, text: str, members: Mapping[str, Any], audience: str) -> VerifiedToken:
        name = encoded(hashlib.sha256(text.encode("ascii")).digest())
        stand_ins = {"iat": _BEGINNING_OF_TIME, "sub": members.get("client_id")}
        lacking = {each: value for each, value in stand_ins.items() if each in self.may_lack}
        claims = {"jti": name, **lacking, **members, "iss": self.issuer, "aud": audience}
        if "username" in claims:
            text_from(claims, "username")
        kind = TokenKind.ONE_TIME if self.is_single_use else TokenKind.ACCESS
        # Read as an access token in either case: an answer's `jti`, if it has one, is not what is spent.
        token = token_from(claims, TokenKind.ACCESS)
        if str(members.get("token_type")).lower() == "dpop" and token.confirmation.jkt is None:
            raise ClaimsError("cnf")
        return replace(token, kind=kind, digest=TokenId(self.issuer, name).digest, claims=members)

    def _untimely(self, token: VerifiedToken, now_ms: int) -> Reason | None:
        lifetime_ms = token.expires_at_ms - token.issued_at_ms
        if lifetime_ms <= 0 or (self.is_single_use and lifetime_ms > MAX_LIFETIME_MS):
            return Reason.TOKEN_LIFETIME_TOO_LONG
        # A post-dated auth_time would make an old login look fresh, as in a token that was signed.
        if max(token.issued_at_ms, token.not_before_ms or 0, token.auth_time_ms or 0) > now_ms + self.iat_lead_ms:
            return Reason.TOKEN_NOT_YET_VALID
        if token.expires_at_ms + self.exp_leeway_ms <= now_ms:
            return Reason.TOKEN_EXPIRED
        return None
