"""What are a route's conditions?  Compiled, each with the name under which a refusal shows it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.expressions.condition import Condition
from ott_extauthz.policy.expressions.situation import Situation


@dataclass(frozen=True, slots=True)
class ConditionRule:
    """One condition: a ``when``, or a ``deny_when`` (``denies``)."""

    name: str
    condition: Condition
    denies: bool = False

    def refusal(self, situation: Situation) -> Rejection | None:
        """Return why this condition does not let the request pass; an error never does."""
        outcome = self.condition.evaluate(situation)
        passes = not outcome.forbids() if self.denies else outcome.permits()
        if passes:
            return None
        if outcome.error:
            return Rejection(Reason.CONDITION_FAILED, detail=f"{self.name}: {outcome.error}")
        return Rejection(Reason.CONDITION_NOT_MET, detail=self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All conditions of a route, in the order in which they are asked.

    ``parameters`` are the segments of its path parameters, ``names`` what the conditions read.
    """

    conditions: tuple[ConditionRule, ...]
    parameters: Mapping[str, int]
    names: frozenset[str]
    needs_body: bool
    needs_asn: bool


def rules_of(conditions: Iterable[ConditionRule], parameters: Mapping[str, int]) -> Rules:
    """Return the rules that these conditions make, with what they need to be judged."""
    rules = tuple(conditions)
    return Rules(
        conditions=rules,
        parameters=parameters,
        names=frozenset[str]().union(*(rule.condition.variables for rule in rules)),
        needs_body=any(rule.condition.needs_body for rule in rules),
        needs_asn=any(rule.condition.needs_asn for rule in rules),
    )


NO_RULES: Final = rules_of((), MappingProxyType({}))
