"""What does a route's author write about conditions?  Compiled as they are read, with their place in the text."""

import difflib
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema, model_validator

from ott_extauthz.policy.constraints.document import LimitedRoute
from ott_extauthz.policy.document.words import is_header_name
from ott_extauthz.policy.expressions.condition import Condition, compiled
from ott_extauthz.policy.expressions.faults import ExpressionError
from ott_extauthz.policy.rules import NO_RULES, ConditionRule, Rules, rules_of
from ott_extauthz.policy.template import parameters_of

MOST_CONDITIONS: Final = 16
_SCHEMA: Final = {"type": "string", "minLength": 1, "maxLength": 4096}


def _when(value: object) -> Condition:
    return _compiled(value, denies=False)


def _deny_when(value: object) -> Condition:
    return _compiled(value, denies=True)


def _compiled(value: object, *, denies: bool) -> Condition:
    if not isinstance(value, str):
        raise ValueError("a condition is one text in CEL")  # noqa: TRY004 - a bad value
    try:
        return compiled(value, denies=denies)
    except ExpressionError as error:
        place = f"line {error.line}, column {error.column} of the condition: " if value.strip() else ""
        raise ValueError(f"{place}{error.message}") from None


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


When = Annotated[Condition, PlainValidator(_when), WithJsonSchema(_SCHEMA)]
DenyWhen = Annotated[Condition, PlainValidator(_deny_when), WithJsonSchema(_SCHEMA)]


class ConditionalRoute(LimitedRoute):
    """The keys of a route that are about conditions."""

    when: When | None = None
    """A condition in CEL that must be true; one that cannot be evaluated is not."""
    deny_when: (
        Annotated[list[DenyWhen], BeforeValidator(_as_list), Field(min_length=1, max_length=MOST_CONDITIONS)] | None
    ) = None
    """Conditions in CEL, each of which refuses where it is true, or cannot be evaluated."""

    @model_validator(mode="after")
    def _names_parameters_of_the_path(self) -> "ConditionalRoute":
        for rule in self._conditions():
            for name in sorted(rule.condition.path_params or ()):
                known = parameters_of(self.template())
                if name not in known:
                    near = difflib.get_close_matches(name, known, n=1)
                    hint = f"; did you mean {near[0]!r}?" if near else ""
                    raise ValueError(f"{rule.name}: match.path has no parameter {name!r} of one segment{hint}")
        return self

    @model_validator(mode="after")
    def _names_headers_that_there_can_be(self) -> "ConditionalRoute":
        for rule in self._conditions():
            for name in sorted(rule.condition.headers or ()):
                if not is_header_name(name):  # never there: a `deny_when` would never see it
                    raise ValueError(f"{rule.name}: no request has a header {name!r}; write request.headers['x-name']")
        return self

    def rules(self) -> Rules:
        """Return all of it as the check wants it."""
        conditions = self._conditions()
        return rules_of(conditions, parameters_of(self.template())) if conditions else NO_RULES

    def _conditions(self) -> list[ConditionRule]:
        permits = [] if self.when is None else [ConditionRule("when", self.when)]
        denies = [
            ConditionRule(f"deny_when[{index}]", condition, denies=True)
            for index, condition in enumerate(self.deny_when or ())
        ]
        return permits + denies
