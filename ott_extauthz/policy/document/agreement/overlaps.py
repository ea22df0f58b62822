"""Do two routes want the same request?  The order of the table must tell every two apart, and without surprise.

- Two routes of one host, path and method differ by header conditions that exclude each other, or of which one is the
  narrower.
- Where one of them is narrower by its method and the other by its headers, neither is the narrower one.
- Two routes never differ by a trailing slash only, on hosts that may be the same.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from ott_extauthz.documents.problems import Problem
from ott_extauthz.policy.conditions import implies, may_both_hold
from ott_extauthz.policy.document.parts import RouteEntry
from ott_extauthz.policy.hosts import patterns_of
from ott_extauthz.policy.routes import Match

Shape = tuple[tuple[str | None, ...], bool]
Spelled = dict[tuple[Shape, bool], dict[str | None, RouteEntry]]

_SLASH: Final = "differs by a trailing slash only, and many servers take both for one path"


def overlap_problems(routes: Sequence[RouteEntry]) -> Iterator[Problem]:
    """Yield a problem for every route that wants what an earlier one wants, naming both."""
    alike: dict[tuple[str | None, Shape, bool], list[tuple[RouteEntry, Match]]] = {}
    for route in routes:
        match = route.match
        if match is None:
            continue
        clashes: dict[int, tuple[RouteEntry, str]] = {}
        for host in match.hosts or (None,):
            others = alike.setdefault((host, match.template.shape, match.template.ends_in_slash), [])
            for other, theirs in others:
                message = _clash(match, theirs, host)
                if message is not None:
                    clashes.setdefault(id(other), (other, message))
            others.append((route, match))
        for other, message in clashes.values():
            yield route.problem(("match",), f"{other.seen_from(route)} {message}")
    yield from _slashes(routes)


def _clash(one: Match, other: Match, host: str | None) -> str | None:
    methods = set(one.methods or (None,)) & set(other.methods or (None,))
    if methods and may_both_hold(one.conditions, other.conditions):
        if implies(one.conditions, other.conditions) == implies(other.conditions, one.conditions):
            return f"matches the same requests: {min(methods, key=str) or 'any method'}, {host or 'any host'}"
    elif not methods and (one.methods is None or other.methods is None):
        by_method, by_any = (other, one) if one.methods is None else (one, other)
        both = may_both_hold(by_any.conditions, by_method.conditions)
        if both and not implies(by_method.conditions, by_any.conditions):
            return "names the methods and the other the headers of requests that both match; name both in one of them"
    return None


def _slashes(routes: Sequence[RouteEntry]) -> Iterator[Problem]:
    spelled: Spelled = {}
    for route in routes:
        if route.match is not None:
            template = route.match.template
            hosts = spelled.setdefault((template.shape, template.ends_in_slash), {})
            for host in route.match.hosts or (None,):
                hosts.setdefault(host, route)
    order = {id(route): index for index, route in enumerate(routes)}
    told: set[tuple[int, int]] = set()
    for first, second in _spelled_differently(spelled):
        one, other = sorted((order[id(first)], order[id(second)]))
        if (one, other) not in told:
            told.add((one, other))
            yield routes[other].problem(("match",), f"{routes[one].seen_from(routes[other])} {_SLASH}")


def _spelled_differently(spelled: Spelled) -> Iterator[tuple[RouteEntry, RouteEntry]]:
    for (shape, ends_in_slash), hosts in spelled.items():
        others = spelled.get((shape, not ends_in_slash), {})
        for host, route in hosts.items() if others else ():
            for pattern in (None,) if host is None else patterns_of(host):
                if pattern in others:
                    yield route, others[pattern]
