r"""What may a server make of a path?  Every reading that proxies and servers are known to take, and which are refused.

A server may decode a path once or, behind another that did, twice; drop what follows ``;`` in a segment (Java path
parameters); split at a ``?`` that an escape hid; call ``/a/`` and ``/a`` the same.  It may do these in any order.

- A path is refused when any reading holds what changes its meaning: a dot segment, an empty segment, ``/``, ``\``,
  ``#``, a control byte, or bytes that are not UTF-8 (an overlong form of ``.`` or ``/`` is none).
- What may still be read in several ways is listed by :func:`readings_of`, and the route table asks for all of them.
"""

import re
from collections.abc import Iterator
from typing import Final

DECODINGS: Final = 2
"""How often the path is decoded in search of other readings; one more time in search of hidden characters."""

UNRESERVED: Final = "A-Za-z0-9._~-"
_SUB_DELIMITERS: Final = "!$&'()*+,;="  # RFC 3986 §2.2
PCHAR: Final = f":@{_SUB_DELIMITERS}{UNRESERVED}"
"""RFC 3986 §3.3 ``pchar`` without escapes, as the inside of a character class."""

_HEX: Final = "0123456789abcdefABCDEF"
_DECODED: Final = {high + low: chr(int(high + low, 16)) for high in _HEX for low in _HEX}
_UNSAFE_TO_WRITE: Final = re.compile(rf"[^/{PCHAR}]")
_PARAMETERS: Final = re.compile(r";[^/]*")
_CHANGES_MEANING: Final = re.compile(
    r"[\x00-\x1f\x7f#\\]"  # what no path may hold, or what another system takes for a separator
    r"|/(?:[;?]|/)"  # a segment that is empty, or becomes so when its parameters are dropped
    r"|/\.{1,2}(?:[/;?]|\Z)"  # a dot segment, or what becomes one
)


def decoded(text: str) -> str:
    """Percent-decode once, byte for byte; what is no escape stays as it is."""
    if "%" not in text:
        return text
    head, *parts = text.split("%")
    return head + "".join([_DECODED.get(part[:2], f"%{part[:2]}") + part[2:] for part in parts])


def is_refused(path: str) -> bool:
    """Whether some reading of ``path`` (as it stands, decoded once, twice or three times) changes its meaning."""
    separators = path.count("/")
    for _ in range(DECODINGS + 2):
        # A separator that was hidden in an escape: `%2f`, `%252f`.
        if _CHANGES_MEANING.search(path) or path.count("/") != separators or not _is_utf8(path):
            return True
        if "%" not in path:
            return False
        path = decoded(path)
    return False


def readings_of(path: str) -> tuple[str, ...]:
    """Return the other ways to read a canonical path, in the spelling that templates use; none in the ordinary case."""
    if "%" not in path and ";" not in path:
        return ()
    found: dict[str, None] = {}
    texts = dict.fromkeys(_cut(path))
    found.update(texts)
    for _ in range(DECODINGS):
        texts = dict.fromkeys(shorter for text in texts for shorter in _cut(decoded(text)))
        found.update(dict.fromkeys(map(_written, texts)))
    found.pop(path, None)
    return tuple(found)


def _cut(text: str) -> Iterator[str]:
    """Yield ``text``, then without path parameters, then up to a ``?`` that decoding brought to light."""
    for shorter in (text, text.partition("?")[0]):
        yield shorter
        yield _PARAMETERS.sub("", shorter)


def _written(text: str) -> str:
    """Write decoded text as templates are written: nothing escaped that need not be, upper-case escapes."""
    return _UNSAFE_TO_WRITE.sub(lambda found: f"%{ord(found[0]):02X}", text)


def _is_utf8(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode("latin-1").decode()
    except UnicodeDecodeError:
        return False
    return True
