"""What is asked for?  Method, host and path in one canonical spelling, before any rule is looked at.

- The target is split at the first ``?`` and nowhere else: no URL parser sees it, for ``//admin/x`` would become a host
  (CVE-2026-26205).  The query is kept as it came and decides nothing.
- Rules match on the canonical path: escaped unreserved characters decoded, other escapes in upper case (RFC 3986
  §6.2.2), so ``/%61dmin`` is ``/admin``.  ASCII only; nothing is ever repaired, dot segments least of all.
- What proxies and servers read differently is refused, or listed by :func:`other_readings`.
"""

import re
from dataclasses import dataclass
from typing import Final

from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.host import canonical_host
from ott_extauthz.policy.readings import PCHAR, UNRESERVED, is_refused, readings_of

MAX_PATH_CHARACTERS: Final = 4096
"""A path without its query; longer ones are refused, because telling every reading apart costs time."""

_METHOD: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Z-]{1,64}")  # RFC 9110 §5.6.2 token, upper case
_VISIBLE: Final = re.compile(r"[!\"$-~]+")  # printable ASCII without space and `#`
_WELL_FORMED: Final = re.compile(rf"/(?:[/{PCHAR}]|%[0-9A-Fa-f]{{2}})*")
_PLAIN: Final = re.compile(rf"(?:/(?!\.{{1,2}}(?:/|\Z))[:@!$&'()*+,={UNRESERVED}]+)+/?|/")
_ESCAPE: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED: Final = re.compile(f"[{UNRESERVED}]")
_CANONICAL_ESCAPES: Final = {
    f"%{byte:02X}": chr(byte) if _UNRESERVED.fullmatch(chr(byte)) else f"%{byte:02X}" for byte in range(256)
}


@dataclass(frozen=True, slots=True)
class CanonicalTarget:
    """What is asked for, in the one spelling that rules are matched on.

    ``segments`` of ``/a/b`` are ``a, b``; a trailing slash leaves an empty last segment; ``*`` (OPTIONS) has none.
    """

    host: str
    path: str
    query: str
    segments: tuple[str, ...]


def canonical_target(method: str, scheme: str, host: str, path: str) -> CanonicalTarget | Rejection:
    """Return the canonical target, or why there is none; ``path`` may carry a query."""
    if _METHOD.fullmatch(method) is None:
        return Rejection(Reason.REQUEST_MALFORMED)
    name = canonical_host(host, scheme)
    if name is None:
        return Rejection(Reason.HOST_MALFORMED)
    if path == "*" and method == "OPTIONS":
        return CanonicalTarget(name, path, "", ())
    if _VISIBLE.fullmatch(path) is None:
        return Rejection(Reason.PATH_MALFORMED)
    raw, _, query = path.partition("?")
    canonical = raw if len(raw) <= MAX_PATH_CHARACTERS and _PLAIN.fullmatch(raw) else _canonical_path(raw)
    if isinstance(canonical, Reason):
        return Rejection(canonical)
    return CanonicalTarget(name, canonical, query, _segments(canonical))


def other_readings(target: CanonicalTarget) -> tuple[tuple[str, ...], ...]:
    """Return the other ways an upstream may read the segments; nothing in the ordinary case.

    The trailing slash is not among them: it needs no second spelling to be missed, so the route table compares with
    and without it for every path.
    """
    return tuple(_segments(path) for path in readings_of(target.path))


def _segments(path: str) -> tuple[str, ...]:
    return tuple(path[1:].split("/"))


def _canonical_path(path: str) -> str | Reason:
    if len(path) > MAX_PATH_CHARACTERS or not path.startswith("/"):
        return Reason.PATH_MALFORMED
    if "\\" in path:  # Windows and browsers take it for a slash (CVE-2021-29492)
        return Reason.PATH_AMBIGUOUS
    if _WELL_FORMED.fullmatch(path) is None:
        return Reason.PATH_MALFORMED
    if is_refused(path):
        return Reason.PATH_AMBIGUOUS
    return _ESCAPE.sub(lambda found: _CANONICAL_ESCAPES[found[0].upper()], path)
