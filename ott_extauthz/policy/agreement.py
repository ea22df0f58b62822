"""Do the parts of a policy agree?  What each field allows alone, but not beside another field or another route.

Reads the plain data, so that these mistakes are told together with those of the fields, even in a file full of both.

- A key without a value is a mistake: ``clients:`` must not come to mean "any client".
- A public route names no requirement: it would look guarded and not be.
- An empty ``bound_to`` makes a bearer token; that takes the exact words ``unbound: accept the risk``.
- Two routes never want the same request, and never differ by a trailing slash only.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from ott_extauthz.documents.located import Located, Path
from ott_extauthz.documents.problems import Problem
from ott_extauthz.policy.routes import Match

_FOR_TOKENS_ONLY: Final = ("audience", "bound_to", "unbound", "clients", "scopes", "max_auth_age", "from")
_RISK: Final = "an unbound token works for whoever holds it; where that is meant, write `unbound: accept the risk`"

Fault = tuple[Path, str]


def disagreements(located: Located, match_of: Callable[[Any], Match | None]) -> Iterator[Problem]:
    """Yield every problem between parts; ``match_of`` reads a route's match, None where it cannot be read."""
    readable = _routes(located.data)
    faults = [*_valueless(located.data, ()), *_same_names(readable)]
    for index, route in readable:
        faults.extend((("routes", index, *path), message) for path, message in _within(route))
    matches = [(index, match) for index, route in readable if (match := match_of(route.get("match")))]
    faults.extend(_clashes(matches))
    for path, message in faults:
        yield located.problem(path, message)


def _routes(data: Any) -> list[tuple[int, dict[str, Any]]]:  # noqa: ANN401 - whatever stood in the file
    routes = data.get("routes") if isinstance(data, dict) else None
    return [
        (index, route)
        for index, route in enumerate(routes if isinstance(routes, list) else ())
        if isinstance(route, dict)
    ]


def _valueless(data: Any, path: Path) -> Iterator[Fault]:  # noqa: ANN401 - whatever stood in the file
    parts = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in parts:
        if value is None:
            yield (*path, key), "has no value; leave the key out, or give it one"
        yield from _valueless(value, (*path, key))


def _within(route: dict[str, Any]) -> Iterator[Fault]:
    if route.get("credential") == "public":
        for name in _FOR_TOKENS_ONLY:
            if name in route:
                yield (name,), f"a public route asks for no token, so {name} would guard nothing"
    if route.get("credential") == "one_time_token":
        yield from _of_token_route(route)


def _of_token_route(route: dict[str, Any]) -> Iterator[Fault]:
    if "audience" not in route:
        yield ("audience",), "required: a token is for one audience"
    is_empty = route.get("bound_to") == []
    if is_empty and "unbound" not in route:
        yield ("bound_to",), _RISK
    if "unbound" in route and not is_empty:
        yield ("unbound",), "stands only beside `bound_to: []`; this route's tokens are bound"


def _same_names(routes: list[tuple[int, dict[str, Any]]]) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for index, route in routes:
        name = route.get("name")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            yield ("routes", index, "name"), f"routes[{first[name]}] has this name too"


def _clashes(matches: list[tuple[int, Match]]) -> Iterator[Fault]:
    earlier: dict[object, list[tuple[int, Match]]] = {}
    for index, match in matches:
        alike = earlier.setdefault(match.template.shape, [])
        for other, other_match in alike:
            message = _clash(match, other_match)
            if message is not None:
                yield ("routes", index, "match"), f"routes[{other}] {message}"
        alike.append((index, match))


def _clash(one: Match, other: Match) -> str | None:
    if one.template.ends_in_slash != other.template.ends_in_slash:
        return "differs by a trailing slash only, and many servers take both for one path"
    hosts = set(one.hosts or (None,)) & set(other.hosts or (None,))
    methods = set(one.methods or (None,)) & set(other.methods or (None,))
    if not hosts or not methods:
        return None
    method, host = min(methods, key=str), min(hosts, key=str)
    return f"matches the same requests: {method or 'any method'}, {host or 'any host'}"
