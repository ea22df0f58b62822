"""A ground without programs: answers that the test chose, an audit that says what it is told to say."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from ott_extauthz.demo.calling import Reply
from ott_extauthz.drills.conduct import Conduct
from ott_extauthz.drills.drill import Drill, Look, Result, Verdict
from ott_extauthz.drills.ground import Ground, Sent
from ott_extauthz.drills.observation import Observation

METRIC = 'ott_denials_total{reason="token_expired"}'


def passed(decision_id: str = "d-1") -> Reply:
    """What the echoing service answers."""
    return Reply(200, (), json.dumps({"headers": {"x-ott-decision-id": [decision_id]}}).encode())


def denied(status: int, reason: str, decision_id: str = "d-1") -> Reply:
    """What a Check server has Envoy answer."""
    headers = (("x-ott-reason", reason), ("x-ott-decision-id", decision_id))
    return Reply(status, headers, json.dumps({"code": "AUTH_FAILED", "token_state": "unspent"}).encode())


@dataclass
class FakeGround:
    """As much of a ground as a conduct looks at.  ``counts`` are what the metric says, one reading after the other."""

    audit: dict[str, str | None] = field(default_factory=dict)
    deliveries: Counter[str] = field(default_factory=Counter)
    counts: Iterator[int] = field(default_factory=lambda: iter((0, 1)))
    store: object | None = None

    def audit_line(self, decision_id: str) -> str | None:
        return json.dumps({"reason": self.audit[decision_id]}) if decision_id in self.audit else None

    async def metrics(self) -> str:
        return f"# TYPE ott_denials_total counter\n{METRIC} {next(self.counts)}\n"

    async def call(self, reply: Reply | None, *, arrives: int = 0) -> Sent:
        case = f"case-{len(self.deliveries)}"
        self.deliveries[case] = arrives
        return Sent(case, reply)

    @property
    def as_ground(self) -> Ground:
        return cast("Ground", self)


def conduct_on(ground: FakeGround) -> Conduct:
    return Conduct(ground.as_ground, lambda _: None)


async def nothing(_conduct: Conduct) -> None:
    """Run a drill that looks at nothing."""


def drill(run: Any = nothing, *, name: str = "a-drill", needs_store: bool = False) -> Drill:
    look = Look(metric=METRIC, log="audit: reason token_expired", alerts=("SomeAlert",))
    return Drill(name=name, title="A drill", run=run, look=look, needs_store=needs_store)


def result(verdict: Verdict) -> Result:
    """A result that ended so."""
    match verdict:
        case Verdict.SKIPPED:
            return Result(drill=drill(), observations=(), seconds=0.0, why="no store")
        case _:
            well = verdict is Verdict.AS_EXPECTED
            seen = Observation("did", "200 passed", "200 passed" if well else "401 token_expired", well)
            return Result(drill=drill(), observations=(seen,), seconds=0.5)
