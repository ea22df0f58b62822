"""Is this an https URL that we may ask?  Parsed by a grammar narrower than any client's, so that none reads another."""

import re
from typing import Final

_HTTPS: Final = re.compile(
    r"https://(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?"
    r"(?:/[!\"$-\[\]-~]*)?"  # visible ASCII without `#` and backslash
)
_MOST_CHARACTERS: Final = 2048
_MAX_PORT: Final = 65535


class HttpsUrl(str):
    """An https URL without user, password and fragment; only :func:`https_url` makes one."""

    __slots__ = ()


def https_url(text: str) -> HttpsUrl:
    """Return ``text`` as what it is.

    Raises:
        ValueError: it is none.
    """
    found = _HTTPS.fullmatch(text) if len(text) <= _MOST_CHARACTERS else None
    if found is None or not 0 < int(found[1] or 443) <= _MAX_PORT:
        raise ValueError("not an https URL: https://host[:port]/path, without user, password and fragment")
    return HttpsUrl(text)
