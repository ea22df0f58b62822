"""Which event does a signed request bring?  Its name, from where the route says, and only if it was signed."""

import re
from typing import Final

from ott_extauthz.check.credentials.request_verifier import SignedBy, SignedRequest
from ott_extauthz.model.json_body import json_body
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.pointer import Pointer
from ott_extauthz.policy.terms import EventTerms

MAX_EVENT: Final = 256
_IN_HEADER: Final = re.compile(rf"[\x21-\x2b\x2d-\x7e]{{1,{MAX_EVENT}}}", re.ASCII)
_UNNAMED: Final = Rejection(Reason.EVENT_UNNAMED)


def event_named(terms: EventTerms | None, signed: SignedBy, request: SignedRequest) -> str | Rejection | None:
    """Return the event's name; None where the route says nothing of events."""
    if terms is None:
        return None
    if terms.header is not None:
        return _in_header(terms.header, signed, request)
    assert terms.pointer is not None  # noqa: S101 - exactly one of the two
    return _in_body(terms.pointer, signed, request)


def _in_header(name: str, signed: SignedBy, request: SignedRequest) -> str | Rejection:
    if name not in signed.covered:
        return Rejection(Reason.SIGNATURE_INCOMPLETE, detail="event")
    values = request.facts.headers.get(name, ())
    return values[0] if len(values) == 1 and _IN_HEADER.fullmatch(values[0]) else _UNNAMED


def _in_body(pointer: Pointer, signed: SignedBy, request: SignedRequest) -> str | Rejection:
    """A name is a string, or an integer; 1 and "1" are one event to a sender that is not strict about its types."""
    if not signed.covers_body:
        return Rejection(Reason.SIGNATURE_INCOMPLETE, detail="event")
    value = json_body(request.facts.body)
    if isinstance(value, Reason):
        return Rejection(value)
    found = pointer.found_in(value)
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    return found if isinstance(found, str) and 0 < len(found) <= MAX_EVENT else _UNNAMED
