"""What becomes of a signing key?  Its states, and the change that listeners are told of."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class KeyState(StrEnum):
    """A key goes through these in order; an emergency skips some of them, and none is ever gone back to."""

    NEXT = "next"  # published, so that verifiers know it before it signs
    ACTIVE = "active"  # signs; a ring has exactly one
    RETIRING = "retiring"  # signs no more; published until the last token it signed has died
    RETIRED = "retired"  # published no more, its private key deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """A key came into another state; ``before`` is None where it was not known before.

    ``is_news`` is False for what a ring held when it was first looked at.
    ``made_ms`` is when the key was made, ``rotation_due_ms`` when an active key should have been replaced (None: never
    by itself).
    """

    ring: str
    kid: str
    before: KeyState | None
    after: KeyState
    made_ms: int
    rotation_due_ms: int | None = None
    is_news: bool = True


class KeyListener(Protocol):
    """Listens to key rings; may be called from another thread."""

    def key_changed(self, change: KeyChange) -> None:
        """Take note that a key came into another state, whichever process did it."""
        ...

    def ring_failed(self, ring: str, problem: str) -> None:
        """Take note that a ring could not be followed or turned; the keys in force stay.  Names no secret."""
        ...
