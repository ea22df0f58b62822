"""When is a key set fetched, and until when is it believed?  Seconds in, seconds out; no clock and no network here.

- Fresh for as long as the answer says (RFC 9111 §5.2), within a floor (nobody makes us ask all the time) and a ceiling
  (a key that was taken out is refused that much later, at most).
- After a fault again soon, then less and less often.
- An unknown ``kid`` asks for a fetch, whoever sent it: never sooner than ``FLOOR_SECONDS`` after the last one began.
- What was once good is believed through an outage, but not for ever: a key may have been retired, or stolen, meanwhile.
"""

import re
from dataclasses import dataclass
from typing import Final

FLOOR_SECONDS: Final = 5.0
"""Two fetches begin at least this far apart, whatever asks for them."""

LEAST_FRESH_SECONDS: Final = 30.0
MOST_FRESH_SECONDS: Final = 900.0
USUALLY_FRESH_SECONDS: Final = 300.0
"""Where the answer does not say."""

LONGEST_PAUSE_SECONDS: Final = 60.0
"""The longest from one failed fetch to the next."""

REDISCOVERED_SECONDS: Final = 3600.0
"""How long an issuer's word on where its keys are is good; a place that does not answer is asked for anew at once."""

KEPT_SECONDS: Final = 86_400.0
"""How long an issuer may be out of reach before its keys count no more."""

_SECONDS: Final = re.compile(r"[0-9]{1,9}")


def freshness(cache_control: str, age: str = "") -> float:
    """Return for how many seconds an answer with these headers needs no other."""
    directives = {
        name.strip().lower(): value.strip().strip('"')
        for name, _, value in (part.partition("=") for part in cache_control.split(","))
    }
    if "no-store" in directives or "no-cache" in directives:
        return LEAST_FRESH_SECONDS
    stated = directives.get("max-age", "")
    if not _SECONDS.fullmatch(stated):
        return USUALLY_FRESH_SECONDS
    rest = int(stated) - (int(age) if _SECONDS.fullmatch(age) else 0)
    return min(max(float(rest), LEAST_FRESH_SECONDS), MOST_FRESH_SECONDS)


@dataclass(slots=True)
class KeySetSchedule:
    """One key set's times, on a clock of seconds that never jumps.  ``due_at`` is when the next fetch begins."""

    due_at: float
    asked_at: float | None = None
    confirmed_at: float | None = None
    failures: int = 0

    def asked(self, now: float) -> None:
        """Take note of a fetch that begins; until it ends, it counts as failed."""
        self.asked_at = now
        self.failures += 1
        pause = FLOOR_SECONDS * 2.0 ** min(self.failures - 1, 10)
        self.due_at = now + min(pause, LONGEST_PAUSE_SECONDS)

    def confirmed(self, now: float, fresh_seconds: float) -> None:
        """Take note of keys that the issuer has just given, or said to be unchanged."""
        self.confirmed_at, self.failures = now, 0
        self.due_at = now + max(fresh_seconds, FLOOR_SECONDS)

    def want(self, now: float) -> None:
        """Have the next fetch as soon as the floor allows."""
        earliest = now if self.asked_at is None else max(now, self.asked_at + FLOOR_SECONDS)
        self.due_at = min(self.due_at, earliest)

    def is_believed(self, now: float) -> bool:
        """Whether the keys we have still count."""
        return self.confirmed_at is not None and now - self.confirmed_at < KEPT_SECONDS
