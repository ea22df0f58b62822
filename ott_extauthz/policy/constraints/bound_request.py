"""Is this the one request that the token is for?  ``htm``, ``htp`` and ``digest`` against method, path and body.

- ``htp`` is a path template, or a path in its canonical spelling; every way to read the request's path must match.  The
  query is not part of it.
- ``digest`` is the SHA-256 of the body's bytes, all of them, as the upstream gets them.  Where Envoy said nothing about
  the body there is none, or nobody saw it: only the route's own word (``allow_unbuffered_empty``) makes that empty.
"""

import hashlib
import hmac
from functools import lru_cache

from ott_extauthz.model.body import Body, whole_of
from ott_extauthz.model.mandate import RequestBinding
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.asked import Asked
from ott_extauthz.policy.limits import Bound, Limits
from ott_extauthz.policy.target import CanonicalTarget, other_readings
from ott_extauthz.policy.template import Template, template_from

_UNBOUND = RequestBinding()


def request_fault(limits: Limits, asked: Asked) -> Rejection | None:
    """Return why the token is not for this request, or None when all that it names, and the route asks for, holds."""
    binding = asked.token.binding or _UNBOUND
    missing = _missing(limits, binding)
    if missing is not None:
        return Rejection(Reason.TOKEN_UNBOUND, detail=f"bound_to_request.{missing}")
    if binding.method is not None and binding.method != asked.facts.method:
        return Rejection(Reason.REQUEST_MISMATCH, detail="htm")
    if binding.path is not None and not _is_path(binding.path, asked.target):
        return Rejection(Reason.REQUEST_MISMATCH, detail="htp")
    if binding.digest is None:
        return None
    fault = _body_fault(binding.digest, asked.facts.body, may_be_unseen=limits.allow_unbuffered_empty)
    return None if fault is None else Rejection(fault, detail="digest")


def _missing(limits: Limits, binding: RequestBinding) -> Bound | None:
    held = {Bound.METHOD: binding.method, Bound.PATH: binding.path, Bound.BODY: binding.digest}
    return next((part for part in Bound if part in limits.bound_to_request and held[part] is None), None)


def _is_path(bound: str, target: CanonicalTarget) -> bool:
    template = _template(bound) if "{" in bound else None
    readings = (target.segments, *other_readings(target))
    if template is None:
        segments = tuple(bound[1:].split("/"))
        return all(reading == segments for reading in readings)
    return all(_matches(template, reading) for reading in readings)


@lru_cache(maxsize=512)
def _template(text: str) -> Template | None:
    """Read a template; what is none is compared as it stands, and no canonical path has braces."""
    try:
        return template_from(text)
    except ValueError:
        return None


def _matches(template: Template, segments: tuple[str, ...]) -> bool:
    if template.takes_rest:
        head, rest = segments[: len(template.segments)], segments[len(template.segments) :]
        return bool(rest and rest[0]) and _are_alike(template.segments, head)
    wanted = (*template.segments, "") if template.ends_in_slash else template.segments
    return _are_alike(wanted, segments)


def _are_alike(wanted: tuple[str | None, ...], segments: tuple[str, ...]) -> bool:
    return len(wanted) == len(segments) and all(
        bool(segment) if literal is None else segment == literal
        for literal, segment in zip(wanted, segments, strict=True)
    )


def _body_fault(digest: bytes, body: Body, *, may_be_unseen: bool) -> Reason | None:
    found = digest_of(body, may_be_unseen=may_be_unseen)
    if isinstance(found, Reason):
        return found
    return None if hmac.compare_digest(found, digest) else Reason.REQUEST_MISMATCH


def digest_of(body: Body, *, may_be_unseen: bool) -> bytes | Reason:
    """Return the SHA-256 of a body, or why nobody can say it; ``may_be_unseen``: one that nobody buffered is empty."""
    found = whole_of(body, may_be_unseen=may_be_unseen)
    return found if isinstance(found, Reason) else hashlib.sha256(found).digest()
