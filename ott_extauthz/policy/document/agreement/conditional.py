"""Which conditions are right and may still surprise?"""

from collections.abc import Iterator, Sequence

from ott_extauthz.documents.problems import Problem
from ott_extauthz.policy.document.parts import Part


def condition_warnings(parts: Sequence[Part]) -> Iterator[Problem]:
    """Yield the warnings of every condition, each at the key that holds it."""
    for part in parts:
        for index, route in enumerate(part.document.routes or () if part.document else ()):
            for rule in route.rules().conditions:
                for hint in rule.condition.warnings:
                    key = rule.name.partition("[")[0]
                    message = f"{rule.name}, line {hint.line}, column {hint.column}: {hint.message}"
                    yield part.located.problem(("routes", index, key), message)
