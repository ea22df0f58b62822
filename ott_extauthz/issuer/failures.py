"""Has this one failed too often?  Failed authentications, counted in this process, in bounded memory.

- Counted for (client_id, what was shown): the certificate, or the network of the address where none was.  Whoever only
  knows a client's name fails under his own certificate or address, and locks nobody out who has the client's.
- Client ids that do not exist count together, so that inventing new ones is no way around.
- A refusal for too many failures costs a look-up: nothing is verified, and no store is asked.
- The least recently used count goes first.  Whoever makes us forget his failures has bought a few more of them, of
  secrets that no number of guesses finds; what is limited is the work and the noise.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from ott_extauthz.issuer.attempt import Attempt
from ott_extauthz.issuer.client import Client
from ott_extauthz.issuer.request import TokenRequest
from ott_extauthz.model.framing import framed

CAPACITY: Final = 8192
"""Counts kept at most; each is a digest and two numbers."""


@dataclass(slots=True)
class _Count:
    failures: int
    ends_at_ms: int


@dataclass(slots=True, kw_only=True)
class FailureLimits:
    """At most ``most`` failures within ``window_ms``, then none of the same is looked at until the window is over."""

    most: int
    window_ms: int
    capacity: int = CAPACITY
    _counts: OrderedDict[bytes, _Count] = field(default_factory=OrderedDict, repr=False)

    def wait_ms(self, key: bytes, now_ms: int) -> int | None:
        """How long the next attempt must wait; None where it need not."""
        count = self._current(key, now_ms)
        return count.ends_at_ms - now_ms if count is not None and count.failures >= self.most else None

    def failed(self, key: bytes, now_ms: int) -> None:
        """Count a failure."""
        count = self._current(key, now_ms)
        if count is not None:
            count.failures += 1
            self._counts.move_to_end(key)
            return
        self._counts[key] = _Count(1, now_ms + self.window_ms)
        while len(self._counts) > self.capacity:
            self._counts.popitem(last=False)

    def _current(self, key: bytes, now_ms: int) -> _Count | None:
        count = self._counts.get(key)
        # A clock that jumped back must not lengthen a window.
        if count is not None and now_ms < count.ends_at_ms <= now_ms + self.window_ms:
            return count
        self._counts.pop(key, None)
        return None


def failure_key(attempt: Attempt, client: Client | None, request: TokenRequest) -> bytes:
    """Return under what a failure of this attempt counts; of a fixed size, whatever the client sent."""
    shown = request.certificate.sha256.hex() if request.certificate else f"address {request.address or ''}"
    return hashlib.sha256(framed(attempt.mechanism.name, client.client_id if client else "", shown)).digest()
