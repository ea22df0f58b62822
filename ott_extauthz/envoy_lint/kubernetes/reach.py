"""Can a route of a proxy carry a request that a route of our policy means?  Where that cannot be told: no."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ott_extauthz.envoy_lint.expectations import Expectations, ExpectedRoute


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What a proxy's route takes: paths by prefix or as a whole, None for any; methods, empty for any."""

    prefix: str | None = None
    exact: str | None = None
    methods: tuple[str, ...] = ()
    has_more: bool = False
    """Whether there are conditions that are not looked at: it may take less than all of this."""

    def meets(self, route: ExpectedRoute) -> bool:
        """Whether a request of the route can come this way."""
        if self.methods and route.methods and not {*self.methods} & {*route.methods}:
            return False
        if self.exact is not None:
            return re.fullmatch(_pattern(route.path), self.exact) is not None
        fixed = route.path.partition("{")[0]
        return self.prefix is None or fixed.startswith(self.prefix) or self.prefix.startswith(fixed)

    def holds(self, route: ExpectedRoute) -> bool:
        """Whether every request of the route comes this way."""
        if self.has_more or (self.methods and not {*route.methods} <= {*self.methods}):
            return False
        if self.exact is not None:
            return self.exact == route.path and "{" not in route.path
        return self.prefix is None or route.path.partition("{")[0].startswith(self.prefix)


def single_use(expected: Expectations, hosts: Iterable[str]) -> Iterator[ExpectedRoute]:
    """Yield the one-time routes that these hosts serve."""
    patterns = tuple(hosts)
    for route in expected.routes:
        theirs = route.hosts or ("*",)
        if route.is_single_use and any(meet(one, other) for one in patterns for other in theirs):
            yield route


def meet(one: str, other: str) -> bool:
    """Return whether two hosts, or patterns ``*`` and ``*.suffix``, have one in common."""
    one, other = one.lower(), other.lower()
    if "*" in (one, other) or one == other:
        return True
    if one.startswith("*.") and other.startswith("*."):
        return one[1:].endswith(other[1:]) or other[1:].endswith(one[1:])
    pattern, host = (one, other) if one.startswith("*.") else (other, one)
    return pattern.startswith("*.") and host.endswith(pattern[1:])


def _pattern(template: str) -> str:
    parts = re.split(r"(\{[^{}]*\})", template)
    return "".join("[^/]+" if part.startswith("{") else re.escape(part) for part in parts)
