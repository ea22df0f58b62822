"""What goes wrong, when it did, and how soon new tokens must pass again."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


async def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of trouble.  ``inject`` returns when it is over; ``prepare`` runs well before, while all is healthy.

    New tokens must pass within the fence's margin + 1 s + ``extra`` of its end; where it should hardly be noticed
    (``counts_from_start``), within 1 s of its beginning.
    """

    name: str
    inject: Callable[[], Awaitable[None]]
    prepare: Callable[[], Awaitable[None]] = _nothing
    counts_from_start: bool = False
    extra: float = 0.0


@dataclass(frozen=True, slots=True)
class Happened:
    """One fault of a run, on the monotonic clock that all processes of a machine share."""

    name: str
    start: float
    end: float
    bound: float
    counts_from_start: bool
