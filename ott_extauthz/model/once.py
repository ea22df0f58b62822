"""What else may come once only, beside a token?  A proof, a nonce, an event: each a use of its own in the used-list."""

from dataclasses import dataclass, field
from enum import StrEnum


class OnceKind(StrEnum):
    """What it is, which decides how its repetition is answered."""

    PROOF = "proof"  # the `jti` of a DPoP proof, within its key (RFC 9449 §11.1)
    NONCE = "nonce"  # of a signed request, within its key
    EVENT = "event"  # a message's own name, within its sender: it is delivered once, however often it is sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """A value that was verified and may not come again.

    ``key`` is 32 bytes: a digest of whose value it is, of its kind and of the value, length-framed.
    ``acceptable_from_ms`` is the first instant at which anyone would take it, ``acceptable_until_ms`` the last: where
    an instant may be signed that lies ahead, a used-list that forgot must refuse all that was good before it did.
    ``repeat_status`` is the HTTP status that a repetition gets, None the one of the reason.
    """

    kind: OnceKind
    key: bytes = field(repr=False)
    acceptable_from_ms: int
    acceptable_until_ms: int
    repeat_status: int | None = None
