"""Which trace does a request belong to?  W3C Trace Context, level 1: the ``traceparent`` header.

A client writes what it likes there: the ids are for people who follow a call through logs, and decide nothing.  What is
not exactly the grammar is no context, so that nothing but hex digits ever reaches a log or an exemplar.
"""

import re
from dataclasses import dataclass
from typing import Final

from ott_extauthz.model.facts import Headers

HEADER: Final = "traceparent"
_GRAMMAR: Final = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?", re.ASCII)
_VERSION_0_LENGTH: Final = 55
_SAMPLED: Final = 0x01


@dataclass(frozen=True, slots=True)
class TraceContext:
    """The caller's trace, and its span that we are a child of; lower-case hex."""

    trace_id: str
    parent_id: str
    is_sampled: bool


def trace_context(headers: Headers) -> TraceContext | None:
    """Return the context that a request brings; None without one, with several, or with a malformed one."""
    values = headers.get(HEADER)
    if values is None or len(values) != 1:
        return None
    return parsed(values[0])


def parsed(value: str) -> TraceContext | None:
    """Return the context of one header value (W3C Trace Context §3.2), None if it has no such form."""
    found = _GRAMMAR.fullmatch(value)
    if found is None or (value.startswith("00") and len(value) != _VERSION_0_LENGTH):
        return None
    trace_id, parent_id, flags = found.groups()
    if int(trace_id, 16) == 0 or int(parent_id, 16) == 0:
        return None
    return TraceContext(trace_id, parent_id, bool(int(flags, 16) & _SAMPLED))
