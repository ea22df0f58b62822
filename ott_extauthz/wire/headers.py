"""Which headers may a request have?  Names and values as Envoy sends them, in both of its modes.

- Raw mode (``encode_raw_headers``) fills ``header_map``; merged mode fills ``headers``.  Both filled is no request.
- Values are bytes read as latin-1: nothing is lost, nothing raises (CVE-2024-23324).
- A name that turns into a protected one when ``_`` is read as ``-`` is refused: upstreams that map headers to
  variables (CGI, WSGI) cannot tell the two apart.
- A security header comes at most once (CVE-2021-32777); Envoy joins ``Authorization`` lines even in raw mode.
"""

import re
from collections.abc import Iterable
from enum import Enum, auto
from functools import lru_cache
from typing import Final

from envoy.config.core.v3.base_pb2 import HeaderValue
from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext

from ott_extauthz.model.facts import Headers, is_ours
from ott_extauthz.model.reason import Reason

MAX_HEADER_BYTES: Final = 128 * 1024
"""All names and values together.  Envoy refuses more than 60 KiB by default; beyond this somebody else is calling."""

_NAME: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,256}")
_SINGLE: Final = frozenset({
    "authorization", "dpop", "txn-token", "x-api-key", "content-type", "idempotency-key", "signature",
    "signature-input", "content-digest", "x-signature", "x-timestamp", "x-nonce", "webhook-id", "webhook-timestamp",
    "webhook-signature", "client-cert", "x-envoy-auth-partial-body",
})  # fmt: skip
_JOINED: Final = frozenset({"authorization", "content-type"})  # Envoy joins their lines itself, in raw mode too
_QUOTED: Final = re.compile(r'"[^"]*"')
_PROTECTED: Final = _SINGLE | {"x-forwarded-client-cert", "client-cert-chain", "cookie", "host"}


class _Kind(Enum):
    ORDINARY = auto()
    SINGLE = auto()
    PSEUDO = auto()
    LOOKALIKE = auto()
    BAD = auto()


@lru_cache(maxsize=4096)  # the same few dozen names come on every request
def _kind(name: str) -> _Kind:
    if name.startswith(":"):
        return _Kind.PSEUDO
    if not _NAME.fullmatch(name):
        return _Kind.BAD
    read_as = name.replace("_", "-")
    if read_as != name and (read_as in _PROTECTED or is_ours(read_as)):
        return _Kind.LOOKALIKE
    return _Kind.SINGLE if name in _SINGLE else _Kind.ORDINARY


def headers_from(http: AttributeContext.HttpRequest) -> Headers | Reason:
    """Return the request's headers, or why they cannot be used."""
    raw = http.header_map.headers
    if raw and http.headers:
        return Reason.REQUEST_MALFORMED
    pairs = map(_pair, raw) if raw else ((name, _latin1(value)) for name, value in http.headers.items())
    return collected(pairs)


def _pair(entry: HeaderValue) -> tuple[str, str | None]:
    """An entry's name and value; None for a value in two readings."""
    raw, text = entry.raw_value, entry.value
    if raw:
        return entry.key, None if text else raw.decode("latin-1")
    return entry.key, _latin1(text)


def _latin1(value: str) -> str:
    return value if value.isascii() else value.encode("utf-8").decode("latin-1")


def collected(pairs: Iterable[tuple[str, str | None]]) -> Headers | Reason:
    """Return names and values (None: a value in two readings) as headers, or why they cannot be used."""
    headers: dict[str, tuple[str, ...]] = {}
    room = MAX_HEADER_BYTES
    for name, value in pairs:
        if value is None:
            return Reason.REQUEST_MALFORMED
        kind = _kind(name)
        if kind is _Kind.PSEUDO:  # decided from the CheckRequest's own fields, which are always set
            continue
        room -= len(name) + len(value)
        if room < 0:
            return Reason.HEADER_MALFORMED
        if kind is not _Kind.ORDINARY:
            fault = _fault(kind, name, value, headers)
            if fault is not None:
                return fault
        headers[name] = (*headers[name], value) if name in headers else (value,)
    return headers


def _fault(kind: _Kind, name: str, value: str, headers: Headers) -> Reason | None:
    """Why this header cannot be taken in beside those we have."""
    match kind:
        case _Kind.LOOKALIKE:
            return Reason.HEADER_LOOKALIKE
        case _Kind.SINGLE if name in headers or (name in _JOINED and "," in _QUOTED.sub("", value)):
            return Reason.HEADER_DUPLICATED
        case _Kind.BAD:
            return Reason.HEADER_MALFORMED
        case _:
            return None
