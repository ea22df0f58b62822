"""What is wrong with this token?  A diagnosis for people: everything that can be said, not the first refusal.

- Nothing is verified and nothing decided here; the Check server's own modules do that and stop at the first fault.
  This one reads on where they stop, and shares none of their code, so that it is a second opinion.
- The signature is never shown, and the text never repeated: what is printed cannot be presented.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from ott_extauthz.authn.inspect_narrowing import narrowing_faults
from ott_extauthz.authn.inspect_paseto import KINDS, footer_faults, means_to_be_paseto, numeric, pieces_of
from ott_extauthz.model.token import MAX_LIFETIME_MS, MAX_TOKEN_BYTES, TokenKind

_PARTS: Final = ("header", "claims", "signature")
_ENCRYPTED_PARTS: Final = 5
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*")
_ALGORITHMS: Final = ("EdDSA", "ES256", "RS256", "PS256")
_KEY_MEMBERS: Final = ("jku", "x5u", "jwk", "x5c")
_TEXTS: Final = ("iss", "sub", "client_id", "aud", "jti")
_TIMES: Final = ("iat", "exp")
_JTI_CHARACTERS: Final = 22  # 128 bits in base64url
_SHA256_BYTES: Final = 32
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")
_LAST_INSTANT: Final = 253_402_300_800  # the end of year 9999
_SHOWN_CHARACTERS: Final = 60
_MOST_ACTORS: Final = 8

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A token's header and claims, None where they cannot be read, and what is wrong in words.

    No problem does not mean a good token: whether the signature holds is for the Check server to say.
    """

    header: Mapping[str, Any] | None = field(repr=False)
    claims: Mapping[str, Any] | None = field(repr=False)
    problems: tuple[str, ...]


def inspect_token(text: str, now_ms: int) -> Inspection:
    """Take ``text`` apart as far as it goes; white space around it, as pasting leaves it, is not held against it."""
    token = text.strip()
    if not token or token.split() != [token]:
        return Inspection(header=None, claims=None, problems=("not a token: empty, or with white space inside",))
    problems: list[str] = []
    if len(token) > MAX_TOKEN_BYTES:
        problems.append(f"{len(token)} characters; more than {MAX_TOKEN_BYTES} are refused unread")
    is_paseto = means_to_be_paseto(token)
    if is_paseto:
        pieces = pieces_of(token, _decoded, problems.append)
    else:
        pieces = dict(zip(_PARTS, _pieces(token, problems.append), strict=False))
    header = _members("header", pieces.get("header"), problems.append)
    claims = _members("claims", pieces.get("claims"), problems.append)
    if header is not None:
        problems += footer_faults(header, _shown) if is_paseto else _header_faults(header)
    if claims is not None:
        typ = (header or {}).get("typ")
        is_access = (KINDS.get(str(typ)) if is_paseto else _type(typ)) == TokenKind.ACCESS
        timed = numeric(claims, problems.append) if is_paseto else claims
        problems += [*_claim_faults(claims, is_access=is_access), *_time_faults(timed, now_ms)]
        problems += [*_binding_faults(claims), *_actor_faults(claims)]
    return Inspection(header=header, claims=claims, problems=tuple(problems))


def _pieces(token: str, say: Say) -> list[bytes | None]:
    pieces = token.split(".")
    if len(pieces) != len(_PARTS):
        hint = "; five make an encrypted JWE" if len(pieces) == _ENCRYPTED_PARTS else ""
        say(f"not three parts but {len(pieces)}{hint}")
        pieces = pieces if len(pieces) < len(_PARTS) else []  # of a longer one nobody knows which part is what
    return [_decoded(name, piece, say) for name, piece in zip(_PARTS, pieces, strict=False)]


def _decoded(name: str, piece: str, say: Say) -> bytes | None:
    bare = piece.rstrip("=")
    if bare != piece:
        say(f"{name}: padded with `=`; base64url in a token has no padding")
    if not bare or not _BASE64URL.fullmatch(bare):
        say(f"{name}: " + ("not base64url" if bare else "empty"))
        return None
    try:
        raw = base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except binascii.Error:
        say(f"{name}: not base64url: no bytes are this long")
        return None
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != bare:
        say(f"{name}: not canonical base64url: unused bits are set")
    return raw


def _members(name: str, raw: bytes | None, say: Say) -> dict[str, Any] | None:
    if raw is None:
        return None
    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=partial(_object, say=say), parse_constant=partial(_constant, say=say)
        )
    except (ValueError, RecursionError) as error:
        say(f"{name}: not JSON in UTF-8 ({type(error).__name__})")
        return None
    if not isinstance(value, dict):
        say(f"{name}: not a JSON object")
        return None
    return value


def _object(pairs: list[tuple[str, Any]], *, say: Say) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in sorted({name for name in names if names.count(name) > 1}):
        say(f"duplicate member {_shown(name)}: parsers differ on which one counts")
    return dict(pairs)


def _constant(name: str, *, say: Say) -> None:
    say(f"{name} is not JSON")


def _header_faults(header: Mapping[str, Any]) -> Iterator[str]:
    typ, kid = header.get("typ"), header.get("kid")
    if _type(typ) not in (TokenKind.ONE_TIME, TokenKind.ACCESS):
        yield f"typ is {_shown(typ)}, a one-time token has '{TokenKind.ONE_TIME}', a mandate '{TokenKind.ACCESS}'"
    yield from _algorithm_faults(header.get("alg"))
    if not isinstance(kid, str) or not kid:
        yield "kid is missing: no key can be looked up"
    for name in ("crit", "zip"):
        if name in header:
            yield f"{name}: extensions are not understood, so the token is refused"
    if header.get("b64", True) is not True:
        yield "b64 is not true: unencoded payloads are refused"
    for name in _KEY_MEMBERS:
        if name in header:
            yield f"{name}: ignored; keys come from the trust list alone"


def _type(typ: Any) -> str | None:  # noqa: ANN401 - JSON
    return typ.lower().removeprefix("application/") if isinstance(typ, str) else None


def _algorithm_faults(algorithm: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    if isinstance(algorithm, str) and algorithm.lower() == "none":
        yield "alg is none: not signed at all"
    elif isinstance(algorithm, str) and algorithm.startswith("HS"):
        yield f"alg is {_shown(algorithm)}: whoever can check such a token can also make one"
    elif algorithm not in _ALGORITHMS:
        yield f"alg is {_shown(algorithm)}, not one of {', '.join(_ALGORITHMS)}"


def _claim_faults(claims: Mapping[str, Any], *, is_access: bool) -> Iterator[str]:
    for name in _TEXTS:
        value = claims.get(name)
        if name == "aud" and is_access and isinstance(value, list) and len(value) == 1:
            value = value[0]
        if name not in claims:
            yield f"{name} is missing"
        elif name == "aud" and not isinstance(value, str):
            yield "aud is not one string: a one-time token is for exactly one audience"
        elif not isinstance(value, str) or not value:
            yield f"{name} is not a text"
    jti = claims.get("jti")
    if not is_access and isinstance(jti, str) and 0 < len(jti) < _JTI_CHARACTERS:
        yield f"jti is too short: {len(jti)} characters, 128 random bits have {_JTI_CHARACTERS}"
    scope = claims.get("scope", "-")
    if not isinstance(scope, str) or not _SCOPE.fullmatch(scope):
        yield "scope is not a text of scopes with one space between them"
    yield from narrowing_faults(claims)


def _time_faults(claims: Mapping[str, Any], now_ms: int) -> Iterator[str]:
    times = {name: _milliseconds(claims.get(name)) for name in (*_TIMES, "nbf", "auth_time")}
    for name in (*_TIMES, *(name for name in ("nbf", "auth_time") if name in claims)):
        if name not in claims:
            yield f"{name} is missing"
        elif _milliseconds(claims[name]) is None:
            yield f"{name} is not a number of seconds since 1970"
    issued, expires = times["iat"], times["exp"]
    if expires is not None and expires <= now_ms:
        yield f"expired {_seconds(now_ms - expires)} ago"
    yield from _future_faults(times, now_ms)
    if issued is not None and expires is not None:
        if expires <= issued:
            yield "exp is not after iat"
        if expires - issued > MAX_LIFETIME_MS:
            yield f"lives {_seconds(expires - issued)}, at most {_seconds(MAX_LIFETIME_MS)} are accepted"


def _future_faults(times: Mapping[str, int | None], now_ms: int) -> Iterator[str]:
    for name in ("iat", "auth_time"):
        if (instant := times[name]) is not None and instant > now_ms:
            yield f"{name} is {_seconds(instant - now_ms)} in the future"
    if (not_before := times["nbf"]) is not None and not_before > now_ms:
        yield f"not valid for another {_seconds(not_before - now_ms)} (nbf)"


def _binding_faults(claims: Mapping[str, Any]) -> Iterator[str]:
    if "cnf" not in claims:
        yield "no cnf: bound to no certificate, so only its sub can hold a thief back"
        return
    members = claims["cnf"]
    if not isinstance(members, dict) or not members:
        yield "cnf is not an object with a confirmation method"
        return
    if "x5t#S256" in members and not _is_thumbprint(members["x5t#S256"]):
        yield "cnf: x5t#S256 is not a SHA-256 in base64url"
    for name in members:
        if name != "x5t#S256":
            yield f"cnf: {_shown(name)} cannot be proven to this version"


def _actor_faults(claims: Mapping[str, Any]) -> Iterator[str]:
    actor, links = claims.get("act"), 0
    while "act" in claims:
        links += 1
        if not isinstance(actor, dict) or not isinstance(actor.get("sub"), str) or not actor["sub"]:
            yield "act is not an object with a sub, or one of those within it is not"
            return
        claims, actor = actor, actor.get("act")
    if links > _MOST_ACTORS:
        yield f"act: {links} actors, one in another; at most {_MOST_ACTORS} are accepted"


def _is_thumbprint(value: Any) -> bool:  # noqa: ANN401 - JSON
    quiet: list[str] = []
    raw = _decoded("", value, quiet.append) if isinstance(value, str) else None
    return raw is not None and len(raw) == _SHA256_BYTES and not quiet


def _milliseconds(value: Any) -> int | None:  # noqa: ANN401 - JSON
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return math.floor(value * 1000) if 0 < value < _LAST_INSTANT else None


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:g} s" if milliseconds < 10_000 else f"{milliseconds // 1000} s"  # noqa: PLR2004


def _shown(value: Any) -> str:  # noqa: ANN401 - JSON
    """Show a value from the token; ``repr`` spells out control characters, so that none reaches a terminal."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = ascii(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
