"""Was this used before?  What a client may present once (the ``jti`` of an assertion, of a proof), in the used-list.

The same list and the same fence as a token's: a store that forgot refuses what may have been used before it forgot.
For that, the instant given as ``issued_at_ms`` must never lie later than the first use by more than ``iat_lead``.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from ott_extauthz.model.framing import framed
from ott_extauthz.ports import Entropy, SpendOutcome, Use, UsedList, UsedListError

MARGIN_MS: Final = 60_000
"""Remembered this much longer than anyone could accept it, for what the bounds on clocks did not foresee."""

TIMEOUT_SECONDS: Final = 2.0
_NONCE_BYTES: Final = 16


class FirstUse(Enum):
    """Whether this is the first use."""

    YES = auto()
    USED_BEFORE = auto()
    CANNOT_TELL = auto()  # from before the list's fence: a fresh one can be told
    TOO_LATE = auto()
    UNAVAILABLE = auto()  # the store's trouble; the same one may be tried again


_ANSWERS: Final = {
    SpendOutcome.FIRST_USE: FirstUse.YES,
    SpendOutcome.ALREADY_USED: FirstUse.USED_BEFORE,
    SpendOutcome.FENCED: FirstUse.CANNOT_TELL,
    SpendOutcome.EXPIRED: FirstUse.TOO_LATE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """Spends identifiers; ``on_fault`` is told the kind of a store's fault."""

    used_list: UsedList
    entropy: Entropy
    on_fault: Callable[[str], None]
    exp_leeway_ms: int
    max_skew_ms: int

    async def spend(self, *name: str, issued_at_ms: int, expires_at_ms: int, now_ms: int) -> FirstUse:
        """Use up what ``name`` names: a purpose, whose it is, and its identifier.

        Each call is a use of its own; a client that repeats a request repeats its assertion, and is refused.
        """
        nonce = self.entropy(_NONCE_BYTES)
        if len(nonce) != _NONCE_BYTES:
            raise RuntimeError("entropy gave fewer bytes than asked for; two uses could pass for one")
        digest = hashlib.sha256(framed(*name)).digest()
        use = Use(
            key=digest,
            nonce=nonce,
            issued_at_ms=issued_at_ms,
            keep_until_ms=expires_at_ms + self.exp_leeway_ms + self.max_skew_ms + MARGIN_MS,
            now_ms=now_ms,
            account=digest,
        )
        try:
            spend = await self.used_list.mark_used(use, timeout=TIMEOUT_SECONDS)
        except UsedListError as error:
            self.on_fault(f"used_list_{error.fault}")
            return FirstUse.UNAVAILABLE
        if spend.outcome not in _ANSWERS:
            self.on_fault(f"used_list_{spend.outcome.name.lower()}")
        return _ANSWERS.get(spend.outcome, FirstUse.UNAVAILABLE)
