"""What every store of the chaos suite is to the run: started, given to Check servers by its URL, and spoilt."""

from typing import Any, Protocol

from tests.chaos.faults import Fault

CLOCK = {"max_skew": "500ms", "iat_lead": "500ms"}
"""The product's own bounds; the fence's margin follows: iat_lead + 3 · max_skew."""

MARGIN = 2.0
TIMEOUT = "1s"
"""Of one send to the store.  Patient, since the suite shares its machine with the servers that it torments, and is to
tell a refusal that the product owes from one that a starved processor made."""


class AbsentError(Exception):
    """A store that cannot be run here; says what is missing."""


class Topology(Protocol):
    """One store.  ``fresh`` and ``replays`` are tokens and tries a second that one load process puts to it.

    One that ``has_lists`` can be used by several processes; one that ``has_clock`` tells a caller's wrong clock.
    ``lease`` is by how many seconds its fence's margin is longer, where others say who the primary is.
    """

    name: str
    workers: int
    fresh: float
    replays: float
    has_lists: bool
    has_clock: bool
    races_may_be_lost: bool
    lease: float

    async def start(self) -> None:
        """Start the store, empty."""
        ...

    async def stop(self) -> None: ...

    def setting(self, worker: int) -> dict[str, Any]:
        """Return ``store`` of one Check server's configuration."""
        ...

    def faults(self) -> list[Fault]: ...
