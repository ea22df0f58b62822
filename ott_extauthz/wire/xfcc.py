r"""Which certificate does X-Forwarded-Client-Cert speak of?  Both forms of Envoy 1.40, read strictly, from the right.

- TEXT: elements separated by ``,``, pairs by ``;``, ``Key=Value``; in quotes, a backslash and the next character are
  one pair.  JSON: an array of objects.  Under APPEND_FORWARD Envoy keeps the form it finds: the client picks it.
- Any fault refuses the whole header: an unbalanced quote that one parser forgives moves a forged Hash into the last
  element (``Hash=<victim>;Subject="x``).
- Only what trusted proxies appended is believed: the caller's element is ``-1 - trusted_hops``, and every element to
  its right must name a configured proxy.  The first element is the one a client can forge.
- The certificate is known by its Hash.  Nothing is decided from Subject, and a URI that holds NUL names nobody
  (CVE-2025-66220, CVE-2026-47778).

What no parser can see: in TEXT, Envoy 1.40 writes URI and DNS SANs without quotes.  A CA that signs a SAN with a comma
lets its owner write elements of his own.  JSON escapes them, but only SANITIZE_SET keeps the client from picking TEXT;
``source.certificate`` is beyond his reach.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ott_extauthz.model.reason import Reason

MAX_HEADER_CHARACTERS: Final = 16 * 1024
MAX_ELEMENTS: Final = 16
"""More proxies in a row than anyone has; a bound on what a client can make us read."""

_PRINTABLE: Final = re.compile(r"[ -~]+")
_HASH: Final = re.compile(r"[0-9a-fA-F]{64}")
# Another parser would read a backslash or a quote inside a plain value differently.  In quotes Envoy writes no bare `;`
# (RFC 2253 escapes it), but every element has one: no quote that a client opens can swallow the element after it.
_PAIR: Final = re.compile(
    r'(By|Hash|Cert|Chain|Subject|URI|DNS|Issuer)=(?:"((?:[^"\\;]|\\.)*)"|([^",;\\ ]*))(?=([,;])|\Z)'
)
_LISTED: Final = {"By": "by", "URI": "uri", "DNS": "dns"}
_SINGLE: Final = {"Hash": "hash", "Cert": "cert", "Chain": "chain", "Subject": "subject", "Issuer": "issuer"}
_JSON_LISTS: Final = {"by", "uri", "dns", "chain"}
_JSON_TEXTS: Final = {"hash", "cert", "subject", "issuer"}


@dataclass(frozen=True, slots=True, kw_only=True)
class XfccElement:
    """What one proxy said about the certificate of whoever called it."""

    hash: bytes | None = None
    uris: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    subject: str | None = None
    cert: str | None = field(default=None, repr=False)

    def names_one_of(self, identities: frozenset[str]) -> bool:
        """Whether a URI of the certificate is among ``identities``."""
        return any(uri in identities and "\0" not in uri for uri in self.uris)


class _FaultError(Exception):
    """The header is outside the grammar; never leaves this module."""


def caller_element(
    values: tuple[str, ...], *, trusted_hops: int, hop_identities: frozenset[str], exact_hops: bool = False
) -> XfccElement | Reason:
    """Return the element that speaks of the caller's certificate, or why there is none.

    ``values`` are the header's values as they came: two are a fault, however well formed each may be.  With
    ``exact_hops`` nothing may stand to the left of the caller's element: Envoy writes SANs unquoted, so where an
    authority signs names with a comma in them, their holder could write an element of their own.
    """
    if not values:
        return Reason.CERTIFICATE_MISSING
    elements = elements_from(values[0]) if len(values) == 1 else None
    if elements is None:
        return Reason.CERTIFICATE_HEADER_MALFORMED
    caller = len(elements) - 1 - trusted_hops
    hops = elements[caller + 1 :]
    if caller < 0 or (exact_hops and caller > 0) or not all(hop.names_one_of(hop_identities) for hop in hops):
        return Reason.CERTIFICATE_HOP_UNTRUSTED
    return elements[caller]


def elements_from(header: str) -> tuple[XfccElement, ...] | None:
    """Return the elements from left to right, or None for any fault at all."""
    if len(header) > MAX_HEADER_CHARACTERS or _PRINTABLE.fullmatch(header) is None:
        return None
    try:
        found = _from_json(header) if header.startswith("[") else _from_text(header)
        return tuple(map(_element, found)) if len(found) <= MAX_ELEMENTS else None
    except _FaultError:
        return None


def _from_text(header: str) -> list[dict[str, Any]]:
    elements: list[dict[str, Any]] = [{}]
    for key, value, separator in _pairs(header):
        if key in _LISTED:
            elements[-1].setdefault(_LISTED[key], []).append(value)
        elif _SINGLE[key] in elements[-1]:
            raise _FaultError
        else:
            elements[-1][_SINGLE[key]] = value
        if separator == ",":
            elements.append({})
    return elements


def _pairs(header: str) -> Iterator[tuple[str, str, str | None]]:
    at = 0
    while True:
        found = _PAIR.match(header, at)
        if found is None:
            raise _FaultError
        key, quoted, plain, separator = found.groups()
        # Only Subject and Issuer need a backslash (RFC 2253); elsewhere it would be a second spelling of one value.
        if quoted is not None and "\\" in quoted and key not in ("Subject", "Issuer"):
            raise _FaultError
        yield key, plain if quoted is None else quoted, separator
        if separator is None:
            return
        at = found.end() + 1


def _from_json(header: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(header, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError):
        raise _FaultError from None
    if not found or not all(isinstance(element, dict) and element for element in found):
        raise _FaultError
    for element in found:
        for key, value in element.items():
            _check_member(key, value)
    return list(found)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _FaultError
    return members


def _check_member(key: str, value: Any) -> None:  # noqa: ANN401 - any JSON value
    # Texts and lists of texts only: numbers, and Python's NaN that is no JSON, never get further.
    texts = [value] if key in _JSON_TEXTS else value if key in _JSON_LISTS else None
    if not isinstance(texts, list) or not all(isinstance(text, str) and text.isascii() for text in texts):
        raise _FaultError


def _element(members: dict[str, Any]) -> XfccElement:
    digest = members.get("hash")
    if digest is not None and _HASH.fullmatch(digest) is None:
        raise _FaultError
    return XfccElement(
        hash=None if digest is None else bytes.fromhex(digest),
        uris=_named(members, "uri"),
        dns=_named(members, "dns"),
        by=_named(members, "by"),
        subject=members.get("subject"),
        cert=members.get("cert"),
    )


def _named(members: dict[str, Any], key: str) -> tuple[str, ...]:
    # Envoy writes `URI=` for a certificate without one.
    return tuple(filter(None, members.get(key, ())))
