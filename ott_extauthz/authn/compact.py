"""Is this a compact JWS, and what does it claim to be?  Nothing here is believed yet (RFC 7515 §3.1, §4, RFC 8725 §3).

- Exactly three non-empty parts of canonical base64url, at most :data:`MAX_TOKEN_BYTES` together.
- JOSE header and claims set are strict JSON objects.
- ``crit``, ``zip`` and ``b64: false`` are refused: we understand no extension, and a rule we do not know is not met.
- ``jku``, ``x5u``, ``jwk`` and ``x5c`` are never followed: keys come from the trust list alone.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from ott_extauthz.authn.base64url import decoded
from ott_extauthz.authn.strict_json import NotStrictJsonError, object_from
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.token import MAX_TOKEN_BYTES

_PARTS: Final = 3


@dataclass(frozen=True, slots=True)
class JoseHeader:
    """The members of a JOSE header that we read; all of them are only the token's own word."""

    algorithm: str
    kid: str
    type: str


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A token's parts.  Good for choosing a key, for nothing else."""

    header: JoseHeader
    claims: dict[str, Any] = field(repr=False)
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def unverified_from(text: str) -> UnverifiedToken | Reason:
    """Take a compact JWS apart, or say why it is none."""
    if len(text) > MAX_TOKEN_BYTES:
        return Reason.TOKEN_TOO_LARGE
    parts = text.split(".")
    if len(parts) != _PARTS or not all(parts):
        return Reason.TOKEN_MALFORMED
    header = _header_from(parts[0])
    if isinstance(header, Reason):
        return header
    payload, signature = decoded(parts[1]), decoded(parts[2])
    if payload is None or signature is None:
        return Reason.TOKEN_MALFORMED
    try:
        claims = object_from(payload)
    except NotStrictJsonError:
        return Reason.TOKEN_MALFORMED
    return UnverifiedToken(header, claims, text[: text.rindex(".")].encode("ascii"), signature)


@lru_cache(maxsize=512)  # an issuer's header is the same text on every token until its key changes
def _header_from(part: str) -> JoseHeader | Reason:
    members = header_members(part)
    return members if isinstance(members, Reason) else jose_header_from(members)


def jose_header_from(members: dict[str, Any]) -> JoseHeader | Reason:
    """Return what we read of a JOSE header's members."""
    algorithm, kid, type_ = members.get("alg"), members.get("kid", ""), members.get("typ", "")
    if not (isinstance(algorithm, str) and isinstance(kid, str) and isinstance(type_, str)):
        return Reason.TOKEN_MALFORMED
    return JoseHeader(algorithm, kid, type_.lower().removeprefix("application/"))


def header_members(part: str) -> dict[str, Any] | Reason:
    """Return the members of a JOSE header in base64url, or why it is none that we read."""
    raw = decoded(part)
    if raw is None:
        return Reason.TOKEN_MALFORMED
    try:
        members = object_from(raw)
    except NotStrictJsonError:
        return Reason.TOKEN_MALFORMED
    if "crit" in members or "zip" in members or members.get("b64", True) is not True:
        return Reason.TOKEN_HEADER_REFUSED
    return members
