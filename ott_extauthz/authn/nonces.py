"""Is this nonce one of ours, and still fresh (RFC 9449 §8)?  Stateless: an HMAC over a slot of time.

- One nonce for everybody in a slot: it proves when a proof was made, not by whom; that is the proof's signature.
- A nonce is taken in its own slot and in the next, so it lives for one slot at least and two at most.
- Whoever shares the secret accepts each other's nonces, though their clocks differ by a second.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final

from ott_extauthz.authn.base64url import encoded

MIN_SECRET_BYTES: Final = 32

_PURPOSE: Final = b"ott-extauthz dpop nonce\0"  # the same secret used for something else makes no nonces
_BYTES: Final = 18
_CLOCKS_DIFFER_MS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Nonces:
    """Makes and knows nonces; ``slot_ms`` is how long one is handed out."""

    secret: bytes = field(repr=False)
    slot_ms: int

    def __post_init__(self) -> None:
        if len(self.secret) < MIN_SECRET_BYTES:
            raise ValueError(f"a nonce secret has at least {MIN_SECRET_BYTES} bytes")

    def current(self, now_ms: int) -> str:
        """Return the nonce to hand out now."""
        return self._of(now_ms // self.slot_ms)

    def accepts(self, nonce: str, now_ms: int) -> bool:
        """Whether ``nonce`` was handed out lately."""
        slots = {now_ms // self.slot_ms - 1, now_ms // self.slot_ms, (now_ms + _CLOCKS_DIFFER_MS) // self.slot_ms}
        sent = nonce.encode("utf-8", "surrogatepass")
        matches = [hmac.compare_digest(sent, self._of(slot).encode("ascii")) for slot in slots]
        return any(matches)

    def _of(self, slot: int) -> str:
        return encoded(hmac.digest(self.secret, _PURPOSE + slot.to_bytes(8, "big"), hashlib.sha256)[:_BYTES])
