"""How many replicas must have a use before it counts?  ``store.wait``, kept with one WAIT for every write of a tick.

How many are attached is told by the script, in the very step that writes the use: an INFO before it could miss a
replica that came in between.  The WAIT itself has left by then; it asks for what was known, and if more were attached
the use is refused once and the next WAIT asks for more.  A replica counts from its first contact: while it is still
being filled every use is refused, for it might be promoted without them.
"""

from dataclasses import dataclass
from typing import Self

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import UsedListError, UsedListFault
from ott_extauthz.sections.store import Store
from ott_extauthz.stores.redislist import answers, script


@dataclass(slots=True)
class Replication:
    """What one primary's uses wait for."""

    least: int
    is_all: bool
    milliseconds: int
    asked: int

    @classmethod
    def of(cls, settings: Store) -> Self | None:
        """Return what ``store.wait`` says; None if nothing is waited for."""
        least = settings.replicas if settings.wait == "all" else settings.wait
        if least is None:
            return None
        # Half of the time limit: an answer "too few" should arrive before the connection is given up.
        return cls(least, settings.wait == "all", max(1, settings.timeout // 2), least)

    def barrier(self) -> bytes:
        """Return the WAIT that ends a write."""
        return script.wait(self.asked, self.milliseconds)

    def lack(self, acknowledged: int) -> str | None:
        """Say what is missing after a look; None if enough replicas have what it wrote."""
        if acknowledged >= self.least:
            return None
        return f"{acknowledged} of {self.least} replicas acknowledge; bring them back, or mend store.wait"

    def check(self, answer: object, acknowledged: int) -> None:
        """Judge a first use, by the script's ``answer`` and by how many replicas ``acknowledged`` it.

        Raises:
            UsedListError: fewer replicas have it than must; the token is spent all the same.
        """
        attached = answers.replicas_from(answer)
        needed = self.least if attached is None or not self.is_all else max(self.least, attached)
        if self.is_all:
            self.asked = needed
        if attached is None or acknowledged < needed:
            detail = f"only {acknowledged} of {needed} replicas have the use; its primary might lose it"
            raise UsedListError(UsedListFault.LOST, TokenState.SPENT, detail)
