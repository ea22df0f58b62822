"""Is there one cookie of this name, what does it say, and what is left without it (RFC 6265 §4.2, §5.4)?

- Cookies are parted by semicolons.  Envoy in merged mode joins two ``Cookie`` lines with a comma, and some servers part
  cookies there too: a cookie of this name that touches a comma is read in two ways, and refused.
- The same name twice is refused: a neighbouring subdomain can add a cookie, and servers disagree on which one counts.
- The value is written plainly: no quotes, which some servers take off, and nothing beyond RFC 6265's cookie-octets.
- A nameless cookie is sent as its bare value (`=sid=x` arrives as `sid=x`); only a name like ``__Host-…`` keeps
  browsers from storing one that looks like ours.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

from ott_extauthz.model.facts import Headers
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection

HEADER: Final = "cookie"
_VALUE: Final = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+")
_BLANK: Final = " \t"


@dataclass(frozen=True, slots=True)
class PresentedCookie:
    """The value of the one cookie of a name."""

    text: str = field(repr=False)


def cookie_in(headers: Headers, name: str) -> PresentedCookie | Rejection:
    """Return the cookie of this name, or why there is none that can be used."""
    anywhere = [value for part in _parts(headers, ";,") for value in _of_name(part, name)]
    if not anywhere:
        return Rejection(Reason.CREDENTIAL_MISSING)
    plainly = [value for part in _parts(headers, ";") for value in _of_name(part, name)]
    if len(anywhere) > 1 or anywhere != plainly:
        return Rejection(Reason.CREDENTIAL_DUPLICATED, detail="cookie")
    if not anywhere[0]:
        return Rejection(Reason.CREDENTIAL_MISSING)
    return PresentedCookie(anywhere[0]) if _VALUE.fullmatch(anywhere[0]) else Rejection(Reason.TOKEN_MALFORMED)


def has_cookie(headers: Headers, name: str) -> bool:
    """Whether there is a cookie of this name, however it is written."""
    return any(True for part in _parts(headers, ";,") for _ in _of_name(part, name))


def without(headers: Headers, names: Collection[str]) -> str:
    """Return all cookies but those of these names, as one header's value; empty where none is left.

    Where one of the names still shows after a comma, nothing is left: it might be read as a cookie there.
    """
    kept = [part for part in _parts(headers, ";") if part and part.partition("=")[0].rstrip(_BLANK) not in names]
    left = "; ".join(kept)
    return "" if any(has_cookie({HEADER: (left,)}, name) for name in names) else left


def _parts(headers: Headers, separators: str) -> Iterator[str]:
    for line in headers.get(HEADER, ()):
        for part in re.split(f"[{separators}]", line):
            yield part.strip(_BLANK)


def _of_name(part: str, name: str) -> Iterator[str]:
    given, equals, value = part.partition("=")
    if equals and given.rstrip(_BLANK) == name:
        yield value.strip(_BLANK)
