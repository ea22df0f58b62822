"""What is a drill?  A scripted fault or attack: what is done, what must be seen, what was seen, and where it shows."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from ott_extauthz.drills.conduct import Conduct
from ott_extauthz.drills.observation import Observation


class Verdict(StrEnum):
    """How a drill ended."""

    AS_EXPECTED = "as expected"
    DIFFERS = "differs"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Where an operator sees it.

    ``metric`` must grow while the drill runs; it is written as in a query, with the labels that matter.  ``log`` says
    which line of audit or log tells it, and ``alerts`` are the shipped alerts that are for it.
    """

    metric: str
    log: str
    alerts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """One drill.  ``run`` does it; one that ``needs_store`` is skipped where no store server can be started."""

    name: str
    title: str
    run: Callable[[Conduct], Awaitable[None]]
    look: Look
    needs_store: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a drill went.  ``why`` says why it was skipped."""

    drill: Drill
    observations: tuple[Observation, ...]
    seconds: float
    why: str | None = None

    @property
    def verdict(self) -> Verdict:
        """A drill in which nothing was observed has shown nothing, and so differs."""
        if self.why is not None:
            return Verdict.SKIPPED
        is_well = self.observations and all(one.as_expected for one in self.observations)
        return Verdict.AS_EXPECTED if is_well else Verdict.DIFFERS
