"""Is the request for one of these brands?  Read from where the route says, and from nowhere else."""

import re
from typing import Final

from ott_extauthz.model.facts import Headers
from ott_extauthz.model.mandate import Constraints
from ott_extauthz.model.reason import Reason
from ott_extauthz.policy.constraints.request import Request

_READ_ALIKE: Final = re.compile(r"[^%;]+")


def brand_fault(constraints: Constraints, request: Request) -> Reason | None:
    """Return why the brand is not one of those allowed; a route that does not say where it stands names none."""
    if constraints.brand is None:
        return None
    brand = _brand(request)
    if isinstance(brand, Reason):
        return brand
    return None if brand in constraints.brand else Reason.BRAND_DENIED


def _brand(request: Request) -> str | Reason | None:
    source = request.limits.brand
    if source is None:
        return None
    if source.header is not None:
        return _in_header(request.asked.facts.headers, source.header)
    if source.segment is not None:
        return _in_path(request.asked.target.segments, source.segment)
    if source.pointer is None:
        return None
    document = request.json
    if isinstance(document, Reason):
        return document
    found = source.pointer.found_in(document)
    return found if isinstance(found, str) else None


def _in_header(headers: Headers, name: str) -> str | None:
    # `x_brand` is `x-brand` to CGI-like upstreams, and they may take either.
    if any("_" in other and other.replace("_", "-") == name for other in headers):
        return None
    values = headers.get(name, ())
    return values[0] if len(values) == 1 else None


def _in_path(segments: tuple[str, ...], index: int) -> str | None:
    """Return a segment that every server reads alike."""
    segment = segments[index] if index < len(segments) else ""
    return segment if _READ_ALIKE.fullmatch(segment) else None
