"""Which of the routes of one host, path and method takes this request?  Its headers decide, and only narrow.

The headers that any of these routes names are looked at together: each must fit the condition of the route that
answers, or be absent where that route does not name it.  So a value nobody foresaw (``ACME`` for ``acme``) is refused
instead of reaching the route that has no condition.
"""

from dataclasses import dataclass

from ott_extauthz.model.facts import Headers
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.conditions import Conditions, ambiguity, implies, may_both_hold, specificity
from ott_extauthz.policy.routes import Route


@dataclass(slots=True)
class Slot:
    """Routes that differ by their conditions alone, the narrowest first."""

    choices: tuple[tuple[Conditions, Route], ...] = ()
    names: frozenset[str] = frozenset()

    def add(self, conditions: Conditions, route: Route) -> None:
        """Add a route.

        Raises:
            ValueError: a request could fit this route and another, and neither is the narrower one.
        """
        for others, other in self.choices:
            is_ordered = implies(conditions, others) != implies(others, conditions)
            if may_both_hold(conditions, others) and not is_ordered:
                raise ValueError(f"{route.name} and {other.name} match the same requests")
        choices = (*self.choices, (conditions, route))
        self.choices = tuple(sorted(choices, key=lambda choice: specificity(choice[0]), reverse=True))
        self.names |= conditions.names

    def choose(self, headers: Headers) -> Route | Rejection:
        """Return the route whose conditions hold, or why none takes the request."""
        if not self.names:
            return self.choices[0][1]
        fault = ambiguity(headers, self.names)
        if fault is not None:
            return Rejection(fault)
        for conditions, route in self.choices:
            if conditions.hold(headers):
                is_clean = all(name in conditions.names or name not in headers for name in self.names)
                return route if is_clean else Rejection(Reason.ROUTE_CONDITION_UNMET)
        return Rejection(Reason.ROUTE_CONDITION_UNMET)
