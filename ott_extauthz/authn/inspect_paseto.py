"""What is wrong with this PASETO?  The parts of the diagnosis that differ from a JWS; see :mod:`inspect`."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from ott_extauthz.model.token import TokenKind

KINDS: Final = {"ott+paseto": TokenKind.ONE_TIME, "at+paseto": TokenKind.ACCESS}
_BEGINNING: Final = re.compile(r"v([1-4])\.(local|public)\.")
_PARTS: Final = 4
_SIGNATURE_BYTES: Final = 64
_MOST_FOOTER: Final = 512
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)

Say = Callable[[str], None]
Decode = Callable[[str, str, Say], bytes | None]


def means_to_be_paseto(token: str) -> bool:
    """Whether a text begins like a PASETO."""
    return _BEGINNING.match(token) is not None


def pieces_of(token: str, decode: Decode, say: Say) -> dict[str, bytes | None]:
    """Return its footer (as ``header``) and its claims, as far as they can be read."""
    version, purpose, *rest = token.split(".")
    if (version, purpose) != ("v4", "public"):
        say(f"{version}.{purpose} is refused; v4.public alone is taken")
    if len(rest) != _PARTS - 2:
        say(f"not four parts but {len(rest) + 2}; without a footer there is neither kid nor typ")
    if purpose == "local":
        say("claims: encrypted")
        return {}
    body = decode("claims", rest[0], say)
    if body is not None and len(body) <= _SIGNATURE_BYTES:
        say("claims: too short for a signature")
        body = None
    footer = rest[1] if len(rest) == _PARTS - 2 else None
    if footer is not None and len(footer) > _MOST_FOOTER:
        say(f"footer: longer than {_MOST_FOOTER} characters")
    return {
        "claims": None if body is None else body[:-_SIGNATURE_BYTES],
        "header": None if footer is None else decode("footer", footer, say),
    }


def footer_faults(footer: Mapping[str, Any], shown: Callable[[Any], str]) -> Iterator[str]:
    """Yield what is wrong with a footer."""
    if not isinstance(footer.get("typ"), str) or footer["typ"] not in KINDS:
        yield f"typ is {shown(footer.get('typ'))}, a one-time token has 'ott+paseto', a mandate 'at+paseto'"
    if not isinstance(footer.get("kid"), str) or not footer["kid"]:
        yield "kid is missing: no key can be looked up"
    if not all(isinstance(value, str) for value in footer.values()):
        yield "footer: a member that is no text; the token is refused"


def numeric(claims: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """Return the claims with times as numbers; a time that is none is told, and left out."""
    found = dict(claims)
    for name in ("iat", "exp", "nbf"):
        if name not in claims:
            continue
        try:
            text = claims[name] if isinstance(claims[name], str) and _TIME.fullmatch(claims[name]) else ""
            found[name] = datetime.fromisoformat(text).timestamp()
        except ValueError:
            say(f"{name} is not a time as PASETO writes it (RFC 3339): 2026-11-22T07:00:00.000+00:00")
            del found[name]
    return found
