"""Does an open route let in what a protected one guards?  Open is what is public, and what is in shadow.

An error, because nobody can mean it:

- An open route that comes before a protected one on requests that both match, and is not wholly within it.  One that
  is (``/admin/health`` within ``/admin/{x}``) is a plain exception.
- An open and a protected route that differ by header conditions alone: every caller chooses its headers.

A warning, because it may be meant: an open route that comes after a protected one, yet takes methods that one leaves
out, or paths right below its own; and a route in shadow wholly within a protected one, for a dry run looks harmless.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from ott_extauthz.documents.problems import Problem
from ott_extauthz.policy.conditions import implies, may_both_hold
from ott_extauthz.policy.document.agreement.crossings import Crossings, is_narrower, may_meet
from ott_extauthz.policy.document.parts import RouteEntry
from ott_extauthz.policy.hosts import WILDCARD, is_within, patterns_of
from ott_extauthz.policy.routes import Match
from ott_extauthz.policy.template import Template

_NAMED: Final = 3


def public_problems(routes: Sequence[RouteEntry]) -> Iterator[Problem]:
    """Yield every open route that a protected one would have to come before, naming both."""
    for route, match, guarded, theirs in _meetings(routes):
        other = guarded.seen_from(route)
        if _differ_by_headers(match, theirs):
            message = "would be decided by headers that every caller chooses; one of the two must go"
            yield route.problem(("match",), f"{route.openness} or {other} {message}")
        elif _both(match, theirs) and _comes_first(match, theirs) and not _is_within(match, theirs):
            yield route.problem(("match",), f"{route.openness}, and comes before {other} where both match")


def public_warnings(routes: Sequence[RouteEntry]) -> Iterator[Problem]:
    """Yield one warning for each open route that takes what a protected one misses, or in shadow what one has."""
    taken: dict[int, tuple[RouteEntry, list[str]]] = {}
    for route, match, guarded, theirs in _meetings(routes):
        found = _taken(route, match, theirs)
        if found is not None:
            taken.setdefault(id(route), (route, []))[1].append(f"{found} of {guarded.seen_from(route)}")
    for route, examples in taken.values():
        more = f", and {len(examples) - _NAMED} more" if len(examples) > _NAMED else ""
        yield route.problem(("match",), f"{route.openness}, also takes {', '.join(examples[:_NAMED])}{more}")


def _taken(route: RouteEntry, match: Match, guarded: Match) -> str | None:
    if _comes_first(match, guarded):
        return "requests" if not route.is_public and _both(match, guarded) else None
    if match.methods is not None and guarded.methods is not None and may_meet(match.template, guarded.template):
        methods = sorted(set(match.methods) - set(guarded.methods) - {"OPTIONS"})
        if methods:
            return " ".join(methods)
    if match.template.takes_rest and not guarded.template.takes_rest and _methods_meet(match, guarded):
        return "paths below that"
    return None


def _meetings(routes: Sequence[RouteEntry]) -> Iterator[tuple[RouteEntry, Match, RouteEntry, Match]]:
    """Yield every open and protected route whose hosts and paths meet."""
    guarded: dict[str | None, Crossings] = {}
    for index, route in enumerate(routes):
        if route.match is not None and not route.is_open:
            for host in route.match.hosts or (None,):
                guarded.setdefault(host, Crossings()).add(route.match.template, index)
    for route in routes:
        match = route.match
        if match is None or not route.is_open:
            continue
        patterns = {pattern for host in match.hosts or (None,) for pattern in _meeting(host, guarded)}
        for index in sorted({index for pattern in patterns for index in guarded[pattern].near(match.template)}):
            theirs = routes[index].match
            if theirs is not None and may_meet(match.template, theirs.template):
                yield route, match, routes[index], theirs


def _meeting(host: str | None, guarded: dict[str | None, Crossings]) -> Iterator[str | None]:
    """Yield the patterns that mean some host which ``host`` means: the broader ones, and what is within a suffix."""
    if host is None:
        yield from guarded
        return
    yield from (pattern for pattern in patterns_of(host) if pattern in guarded)
    if host.startswith(WILDCARD):
        yield from (pattern for pattern in guarded if pattern is not None and is_within(pattern, host))


def _both(one: Match, other: Match) -> bool:
    return _methods_meet(one, other) and may_both_hold(one.conditions, other.conditions)


def _methods_meet(one: Match, other: Match) -> bool:
    return one.methods is None or other.methods is None or not set(one.methods).isdisjoint(other.methods)


def _differ_by_headers(one: Match, other: Match) -> bool:
    is_same_slot = (
        one.template.shape == other.template.shape
        and not set(one.hosts or (None,)).isdisjoint(other.hosts or (None,))
        and not set(one.methods or (None,)).isdisjoint(other.methods or (None,))
    )
    return is_same_slot and one.conditions != other.conditions


def _comes_first(one: Match, other: Match) -> bool:
    """Whether the table tries ``one`` before ``other``, on some host where both match."""
    if any(_host_rank(a) < _host_rank(b) for a in one.hosts or (None,) for b in other.hosts or (None,) if _meet(a, b)):
        return True
    if not any(a == b for a in one.hosts or (None,) for b in other.hosts or (None,)):
        return False
    ranks = _path_rank(one.template), _path_rank(other.template)
    return ranks[0] < ranks[1] if ranks[0] != ranks[1] else one.methods is not None and other.methods is None


def _meet(one: str | None, other: str | None) -> bool:
    return one is None or other is None or is_within(one, other) or is_within(other, one)


def _host_rank(host: str | None) -> tuple[int, int]:
    if host is None:
        return 2, 0
    return (1, -host.count(".")) if host.startswith(WILDCARD) else (0, 0)


def _path_rank(template: Template) -> tuple[int, ...]:
    ranks = [0 if segment is not None else 1 for segment in template.segments]
    return (*ranks, 2) if template.takes_rest else tuple(ranks)


def _is_within(one: Match, other: Match) -> bool:
    return (
        all(
            any(is_within(a, b) for b in other.hosts or (None,)) if a else other.hosts is None
            for a in one.hosts or (None,)
        )
        and (other.methods is None or (one.methods is not None and set(one.methods) <= set(other.methods)))
        and is_narrower(one.template, other.template)
        and implies(one.conditions, other.conditions)
    )
