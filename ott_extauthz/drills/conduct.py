"""How is a drill carried out?  Each call is compared with what is expected, by more than its status.

- What was let through reached the service exactly once, and what was refused never.
- Whatever a Check server decided stands in its audit under the decision's id, with this very reason.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Final

from ott_extauthz.demo.calling import Reply
from ott_extauthz.drills.ground import Ground, Sent
from ott_extauthz.drills.observation import Observation
from ott_extauthz.drills.outcome import Outcome
from ott_extauthz.model.reason import Reason

PATIENCE: Final = 30.0
"""Seconds that a change may take until it shows; a machine that does other work besides needs more than ours."""

_POLL: Final = 0.1
_NOT_IN_AUDIT: Final = frozenset({Reason.AUDIT_UNAVAILABLE})


class Conduct:
    """One drill under way: ``ground`` is where, ``observations`` what was seen so far."""

    def __init__(self, ground: Ground, tell: Callable[[Observation], None]) -> None:
        self.ground = ground
        self.observations: list[Observation] = []
        self._tell = tell

    def note(self, did: str, expected: str, seen: str) -> None:
        """Write down what was expected and what was seen; they must be the same."""
        observation = Observation(did, expected, seen, expected == seen)
        self.observations.append(observation)
        self._tell(observation)

    async def see(self, did: str, call: Awaitable[Sent], expected: Outcome) -> Reply | None:
        """Make a call and write down how it ended; returns the answer."""
        sent = await call
        self.note(did, str(expected), self._told(sent))
        return sent.reply

    async def soon(self, did: str, call: Callable[[], Awaitable[Sent]], expected: Outcome) -> None:
        """Make such calls until one ends as expected; what is written down is the last."""
        sent, until = await call(), _now() + PATIENCE
        while Outcome.of(sent.reply) != expected and _now() < until:
            await asyncio.sleep(_POLL)
            sent = await call()
        self.note(did, str(expected), self._told(sent))

    async def until(self, did: str, holds: Callable[[], Awaitable[bool]]) -> None:
        """Wait until something holds."""
        done, until = await holds(), _now() + PATIENCE
        while not done and _now() < until:
            await asyncio.sleep(_POLL)
            done = await holds()
        self.note(did, "yes", "yes" if done else "no")

    def _told(self, sent: Sent) -> str:
        """Return the outcome, and what is wrong with how it was reached."""
        outcome = Outcome.of(sent.reply)
        wrong = [*self._misdelivered(sent, outcome), *self._unaudited(sent, outcome)]
        return ", but ".join([str(outcome), *wrong])

    def _misdelivered(self, sent: Sent, outcome: Outcome) -> list[str]:
        came, should = self.ground.deliveries[sent.case], int(outcome.passed)
        return [] if came == should else [f"it reached the service {came} times"]

    def _unaudited(self, sent: Sent, outcome: Outcome) -> list[str]:
        decision_id = _decision_id(sent.reply)
        if decision_id is None or outcome.reason in _NOT_IN_AUDIT:
            return []
        line = self.ground.audit_line(decision_id)
        if line is None:
            return ["the audit has no line of it"]
        reason = json.loads(line)["reason"]
        return [] if reason == outcome.reason else [f"the audit says {reason}"]


def _now() -> float:
    return asyncio.get_running_loop().time()


def _decision_id(reply: Reply | None) -> str | None:
    if reply is None:
        return None
    echoed = reply.json["headers"].get("x-ott-decision-id", [None])[0] if Outcome.of(reply).passed else None
    return reply.header("x-ott-decision-id") or echoed
