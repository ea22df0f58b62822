"""What do we know of the request's body?  The bytes that Envoy buffered, and whether they are all of them."""

from dataclasses import dataclass, field

from ott_extauthz.model.reason import Reason


@dataclass(frozen=True, slots=True)
class Body:
    """A body as Envoy handed it on.

    ``is_complete``: Envoy said so (``x-envoy-auth-partial-body: false``); without that word it may be a part, or
    nothing of a body that the upstream will see whole.  ``is_binary_safe``: these are the bytes that were sent; Envoy
    replaces what is not UTF-8 by ``!`` where it is not told ``pack_as_bytes``.  ``is_announced``: the request names a
    length, so that there is one, whether it was buffered or not.
    """

    raw: bytes = field(repr=False)
    is_complete: bool
    is_binary_safe: bool = True
    is_announced: bool = False


NO_BODY = Body(b"", is_complete=False)
"""Nothing was buffered: no body, or buffering is off."""

UNSEEN_BODY = Body(b"", is_complete=False, is_announced=True)
"""Nothing was buffered, and there is a body."""


def whole_of(body: Body, *, may_be_unseen: bool) -> bytes | Reason:
    """Return a body's bytes, all of them, or why nobody can say them.

    Where Envoy said nothing about the body there is none, or nobody saw it: only the route's own word
    (``may_be_unseen``, its ``allow_unbuffered_empty``) makes that empty, unless the request itself says otherwise.
    """
    if not body.is_complete and (body.raw or body.is_announced or not may_be_unseen):
        return Reason.BODY_INCOMPLETE
    return body.raw if body.is_binary_safe else Reason.BODY_NOT_BINARY_SAFE
