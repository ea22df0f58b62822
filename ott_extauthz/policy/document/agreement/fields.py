"""Do the fields of one entry go together?

- A key without a value is a mistake: ``clients:`` must not come to mean "any client".
- A public route names no requirement: it would look guarded and not be; neither does one that attaches.
- A route says either ``credential`` or ``attach``: whether it guards requests that come, or helps those that leave.
- An empty ``bound_to`` makes a bearer token; that takes the exact words ``unbound: accept the risk``.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from ott_extauthz.documents.located import Path
from ott_extauthz.documents.problems import Problem
from ott_extauthz.policy.document.attaching import FOR_CHECKS_ONLY
from ott_extauthz.policy.document.parts import Part, RouteEntry

FOR_TOKENS_ONLY: Final = (
    "audience", "bound_to", "unbound", "clients", "roles", "scopes", "max_auth_age", "from",
    "brand", "amount", "constraints", "bound_to_request", "encrypted", "allow_unbuffered_empty", "mode", "when",
    "deny_when",
)  # fmt: skip
"""The keys of a route that mean something only where a token is asked for."""

_RISK: Final = "an unbound token works for whoever holds it; where that is meant, write `unbound: accept the risk`"


def field_problems(parts: Sequence[Part], routes: Sequence[RouteEntry]) -> Iterator[Problem]:
    """Yield what the fields of each entry must not say together."""
    for part in parts:
        for path in _valueless(part.located.data, ()):
            yield part.located.problem(path, "has no value; leave the key out, or give it one")
    for route in routes:
        yield from _within(route)


def _valueless(data: Any, path: Path) -> Iterator[Path]:  # noqa: ANN401 - whatever stood in the file
    parts = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in parts:
        if value is None:
            yield (*path, key)
        elif isinstance(value, dict | list):
            yield from _valueless(value, (*path, key))


def _within(route: RouteEntry) -> Iterator[Problem]:
    yield from _of_its_kind(route)
    if route.is_attaching:
        yield from _of_attaching_route(route)
        return
    if route.is_public:
        for name in FOR_TOKENS_ONLY:
            if name in route.data:
                yield route.problem((name,), f"a public route asks for no token, so {name} would guard nothing")
    if route.data.get("credential") in ("one_time_token", "mandate"):
        yield from _of_token_route(route)


def _of_its_kind(route: RouteEntry) -> Iterator[Problem]:
    if route.is_attaching and "credential" in route.data:
        yield route.problem(("attach",), "a route either checks (credential) or attaches, never both")
    if not route.is_attaching and "credential" not in route.data:
        yield route.problem(("credential",), "required: what a request must carry; or attach, for requests that leave")
    if not route.is_attaching and "to" in route.data:
        yield route.problem(("to",), "says where an attached token is put; this route attaches none")


def _of_attaching_route(route: RouteEntry) -> Iterator[Problem]:
    for name in FOR_CHECKS_ONLY:
        if name in route.data:
            yield route.problem((name,), f"an attaching route asks its workload for no token, so {name} guards nothing")
    if "audience" not in route.data:
        yield route.problem(("audience",), "required: a token is for one audience")


def _of_token_route(route: RouteEntry) -> Iterator[Problem]:
    if "audience" not in route.data:
        yield route.problem(("audience",), "required: a token is for one audience")
    is_empty = route.data.get("bound_to") == []
    if is_empty and "unbound" not in route.data:
        yield route.problem(("bound_to",), _RISK)
    if "unbound" in route.data and not is_empty:
        yield route.problem(("unbound",), "stands only beside `bound_to: []`; this route's tokens are bound")
