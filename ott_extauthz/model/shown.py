"""What of a request may be written down?  Its method, host and path, but for what has the form of a credential.

A client that puts a token into a path or a host would have it in every log.  Of an opaque text nobody can say that it
is a secret, so only what is longer than any id goes, too.
"""

import re
from typing import Final

MASK: Final = "~masked~"
LONGEST_SEGMENT: Final = 64
"""Of a path: a SHA-256 in hex still fits."""

LONGEST_LABEL: Final = 48
"""Of a host: shorter than the secret of an API key."""

_METHOD: Final = re.compile(r"[A-Z-]{1,17}")  # UPDATEREDIRECTREF
_CREDENTIAL: Final = re.compile(
    r"eyJ[A-Za-z0-9_-]{8}"  # the start of a JWS or JWE, or of its claims
    r"|v[1-4]\.(?:public|local)\."  # PASETO
    r"|[a-z][a-z0-9]{1,15}_[0-9A-Za-z]{11}\.[0-9A-Za-z]{8}"  # an API key of ours
    r"|whs[ek]c?_[A-Za-z0-9+=_-]{8}"  # a key of Standard Webhooks
)


def shown_method(method: str) -> str:
    """Return a method as it may be written down."""
    return method if _METHOD.fullmatch(method) else MASK


def shown_path(path: str) -> str:
    """Return a canonical path as it may be written down."""
    if len(path) <= LONGEST_SEGMENT and _CREDENTIAL.search(path) is None:
        return path
    return "/".join(map(_shown_segment, path.split("/")))


def shown_host(host: str) -> str:
    """Return a canonical host as it may be written down."""
    if len(host) <= LONGEST_LABEL:
        return host
    return ".".join(MASK if len(label) > LONGEST_LABEL else label for label in host.split("."))


def _shown_segment(segment: str) -> str:
    is_secret = len(segment) > LONGEST_SEGMENT or _CREDENTIAL.search(segment) is not None
    return MASK if is_secret else segment
