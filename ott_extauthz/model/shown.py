"""What of a request may be written down?  Its method, host and path, but for what has the form of a credential.

A client that puts a token into a path or a host would have it in every log.  Of an opaque text nobody can say that it
is a secret, so only what is longer than any id goes, too.
"""

import re
from base64 import urlsafe_b64decode
from typing import Final

MASK: Final = "~masked~"
LONGEST_SEGMENT: Final = 64
"""Of a path: a SHA-256 in hex still fits."""

LONGEST_LABEL: Final = 48
"""Of a host: shorter than the secret of an API key."""

_SPACE: Final = 0x20
_DELETE: Final = 0x7F
_METHOD: Final = re.compile(r"[A-Z-]{1,17}")  # UPDATEREDIRECTREF
_CREDENTIAL: Final = re.compile(
    r"(?P<json>eyJ)(?=[A-Za-z0-9_-]{8})"  # the start of a JWS or JWE, or of its claims
    r"|v[1-4]\.(?:public|local)\.[A-Za-z0-9_-]{8}"  # PASETO
    r"|[a-z][a-z0-9]{1,15}_[0-9A-Za-z]{11}\.[0-9A-Za-z]{8}"  # an API key of ours
    r"|whs[ek]c?_[A-Za-z0-9+=_-]{8}"  # a key of Standard Webhooks
)


def shown_method(method: str) -> str:
    """Return a method as it may be written down."""
    return method if _METHOD.fullmatch(method) else MASK


def shown_path(path: str) -> str:
    """Return a canonical path as it may be written down."""
    if len(path) <= LONGEST_SEGMENT and not _has_credential(path):
        return path
    return "/".join(map(_shown_segment, path.split("/")))


def shown_host(host: str) -> str:
    """Return a canonical host as it may be written down."""
    if len(host) <= LONGEST_LABEL:
        return host
    return ".".join(MASK if len(label) > LONGEST_LABEL else label for label in host.split("."))


def _has_credential(text: str) -> bool:
    if _CREDENTIAL.search(text) is None:
        return False
    return any(not found["json"] or _is_json(text, found.start()) for found in _CREDENTIAL.finditer(text))


def _is_json(text: str, start: int) -> bool:
    """Whether Base64url here is the beginning of an object's name: `keyJumping` is none."""
    return all(_SPACE <= byte < _DELETE for byte in urlsafe_b64decode(text[start : start + 8]))


def _shown_segment(segment: str) -> str:
    is_secret = len(segment) > LONGEST_SEGMENT or _has_credential(segment)
    return MASK if is_secret else segment
