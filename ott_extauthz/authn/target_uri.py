"""Do two URIs name one target?  One spelling of an http(s) URI, after RFC 3986 §6.2.2 and §6.2.3, or none.

- Query and fragment are left out (RFC 9449 §4.3): they are no part of ``htu``.
- Scheme and host in lower case, the scheme's default port and an empty port removed, an empty path is ``/``.
- Escapes in upper case, escaped unreserved characters decoded, dot segments removed; once, and in this order.
- User information, an empty host, an escape in the host, anything outside ASCII or the grammar: no target at all.
"""

import ipaddress
import re
from functools import lru_cache
from typing import Final

MAX_CHARACTERS: Final = 4096

_CACHED: Final = 256  # the same few endpoints again and again; callers choose some, so the memory is bounded
_URI: Final = re.compile(r"(?i:(https?))://([^/?#]*)([^?#]*)(?:\?[^#]*)?(?:#.*)?", re.ASCII)
_AUTHORITY: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{0,5}))?", re.ASCII)
_PATH: Final = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*", re.ASCII)
_ESCAPE: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9._~-]", re.ASCII)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_MAX_PORT: Final = 65535


def normal_target(uri: str) -> str | None:
    """Return the one spelling of the target, or None where ``uri`` is no absolute http(s) URI."""
    return _normal(uri) if len(uri) <= MAX_CHARACTERS else None


@lru_cache(maxsize=_CACHED)
def _normal(uri: str) -> str | None:
    # ASCII first: `lower()` would turn U+212A, the Kelvin sign, into an innocent `k`.
    found = _URI.fullmatch(uri) if uri.isascii() and uri.isprintable() else None
    if found is None or _PATH.fullmatch(found[3]) is None:
        return None
    scheme = found[1].lower()
    authority = _normal_authority(found[2].lower(), _DEFAULT_PORTS[scheme])
    return None if authority is None else f"{scheme}://{authority}{_normal_path(found[3])}"


def _normal_authority(text: str, default_port: int) -> str | None:
    found = _AUTHORITY.fullmatch(text)
    host = None if found is None else _normal_host(found[1])
    if found is None or host is None:
        return None
    port = int(found[2]) if found[2] else default_port
    if not 0 < port <= _MAX_PORT:
        return None
    return host if port == default_port else f"{host}:{port}"


def _normal_host(text: str) -> str | None:
    if not text.startswith("["):
        return text
    try:
        return f"[{ipaddress.IPv6Address(text[1:-1])}]"
    except ValueError:
        return None


def _normal_path(path: str) -> str:
    kept: list[str] = []
    segments = _ESCAPE.sub(_normal_escape, path or "/").split("/")[1:]
    for segment in segments:  # RFC 3986 §5.2.4
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def _normal_escape(found: re.Match[str]) -> str:
    letter = chr(int(found[0][1:], 16))
    return letter if _UNRESERVED.fullmatch(letter) else found[0].upper()
