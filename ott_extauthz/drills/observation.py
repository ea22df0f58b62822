"""What was seen, beside what had to be seen?"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing that was done, what was expected of it, and what was seen."""

    did: str
    expected: str
    seen: str
    as_expected: bool
