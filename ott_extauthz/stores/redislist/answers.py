"""What may the script answer, and what does it mean?  Whatever is not an answer to this very attempt is None."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ott_extauthz.ports import FirstUse, Spend, SpendOutcome

_SPENDS: Final = {
    b"first": Spend(SpendOutcome.FIRST_USE),
    b"used": Spend(SpendOutcome.ALREADY_USED),
    b"fenced": Spend(SpendOutcome.FENCED),
    b"expired": Spend(SpendOutcome.EXPIRED),
    b"clock": Spend(SpendOutcome.CLOCK_DISAGREES),
    b"replica": Spend(SpendOutcome.NOT_PRIMARY),
    b"evicts": Spend(SpendOutcome.UNSAFE),
    b"hidden": Spend(SpendOutcome.UNSAFE),
    b"exhausted": Spend(SpendOutcome.BUDGET_EXHAUSTED),
}


@dataclass(frozen=True, slots=True)
class Failed:
    """The store raised an error where the use would have been written.

    ``is_written``: this very attempt was there already, and could not be written once more.
    """

    error: str
    is_written: bool


class Verdict(StrEnum):
    """What a look at the store found: the words of steps 1 to 3."""

    WHOLE = "whole"
    CLOCK = "clock"
    REPLICA = "replica"
    EVICTS = "evicts"
    HIDDEN = "hidden"


_VERDICTS: Final = {verdict.value.encode(): verdict for verdict in Verdict}


@dataclass(frozen=True, slots=True)
class Look:
    """The store's own view: its clock, and since when it has been whole (0 if a step before the fence refused)."""

    verdict: Verdict
    now_ms: int
    since_ms: int


def spend_from(answer: object, nonce: bytes) -> Spend | Failed | None:
    """Return what the script answered to the attempt with this ``nonce``, which is in hexadecimal as on the wire."""
    if not isinstance(answer, bytes):
        return None
    word, _, rest = answer.partition(b" ")
    repeated, _, more = rest.partition(b" ")
    if repeated != nonce:
        return None
    if word == b"used" and more:
        return Spend(SpendOutcome.ALREADY_USED, _first_use(more))
    if word == b"limited":
        return Spend(SpendOutcome.RATE_LIMITED, retry_after_ms=int(more)) if more.isdigit() else None
    if word == b"failed":
        return Failed(more.decode(errors="replace"), is_written=False)
    if word == b"torn":
        return Failed("its own use could not be written once more", is_written=True)
    return _SPENDS.get(word)


def replicas_from(answer: object) -> int | None:
    """Return how many replicas the primary had when it wrote a first use; None if the answer does not tell."""
    if not isinstance(answer, bytes):
        return None
    _, _, count = answer.removeprefix(b"first ").partition(b" ")
    return int(count) if count.isdigit() else None


def _first_use(text: bytes) -> FirstUse:
    at, _, witness = text.partition(b":")
    return FirstUse(int(at) if at.isdigit() else 0, witness)


def look_from(reply: object) -> Look | None:
    """Return what a look found."""
    match reply:
        case [bytes(word), int(now_ms), int(since_ms)] if word in _VERDICTS:
            return Look(_VERDICTS[word], now_ms, since_ms)
    return None
