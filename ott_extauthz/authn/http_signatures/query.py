"""What does a query say under one name?  HTML form parameters (URL standard §5.1), as RFC 9421 §2.2.8 signs them.

A name that stands twice has no value here: which of the two an upstream takes, nobody knows.  Neither has one whose
bytes are not UTF-8: the URL standard would put U+FFFD for each, and let one signature stand for many values.
"""

import re
from collections.abc import Mapping
from typing import Final

MAX_PARAMETERS: Final = 512
"""A query of more is not taken apart: whoever sends it has signed nothing yet, and has us work."""

_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
# What the URL standard's form-urlencoded percent-encode set leaves alone.
_KEPT: Final = frozenset(b"*-._0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


def single_parameters(query: str) -> Mapping[str, str]:
    """Return the decoded parameters that stand once."""
    if query.count("&") >= MAX_PARAMETERS:
        return {}
    found: dict[str, str] = {}
    twice: set[str] = set()
    for name, _, value in (part.partition("=") for part in query.split("&") if part):
        key, text = decoded(name), decoded(value)
        if key is None:
            continue
        if key in found or text is None:
            twice.add(key)
        found[key] = text or ""
    return {name: value for name, value in found.items() if name not in twice}


def decoded(text: str) -> str | None:
    """Return what is percent-encoded; None where it is no UTF-8."""
    if not text.isascii():
        return None
    raw = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), text.replace("+", " ").encode())
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def encoded(text: str) -> str:
    """Return it percent-encoded, in the one way of RFC 9421."""
    return "".join(chr(byte) if byte in _KEPT else f"%{byte:02X}" for byte in text.encode())
