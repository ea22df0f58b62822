"""Which route answers?  A compiled table; what it does not name is refused.

The order in which routes are tried, for one method, host and path:

1. the exact host before any host
2. segment by segment from the left: a literal before ``{x}`` before ``{rest**}``, going back where a branch ends
3. the exact method before any method; HEAD is not GET

Three rules keep a request from slipping past a narrow route into a broad one:

- A method that a path's own route leaves out is not caught by a broader path's any-method route, only by one that
  names the method: with ``GET /admin`` and a public ``/{x}``, ``HEAD /admin`` is refused.
- ``/admin/`` and ``/admin`` are one path to many servers: where only the other spelling has a route, a broader
  route does not take it.
- Every other reading of the path, and of a host that differs from a known one by its port only (Istio ignores ports),
  must select the very same route.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.target import CanonicalTarget, other_readings
from ott_extauthz.policy.template import Template

_PORT: Final = re.compile(r":[0-9]+\Z")
_UNKNOWN: Final = Rejection(Reason.ROUTE_UNKNOWN)
_AMBIGUOUS: Final = Rejection(Reason.PATH_AMBIGUOUS)


class CredentialKind(StrEnum):
    """What a route asks for."""

    ONE_TIME_TOKEN = "one_time_token"
    PUBLIC = "public"


class BoundTo(StrEnum):
    """What a token must be bound to; a route that lists several asks for all of them."""

    CERTIFICATE = "certificate"
    WORKLOAD = "workload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a request must bring.  On a public route nothing but the name means anything.

    ``reservation``: a repeated Check of the very same request is one spend.  ``clients`` None: any client of a trusted
    issuer; ``unbound`` is the operator's word that an empty ``bound_to`` is meant.
    """

    name: str
    credential: CredentialKind
    audience: str = ""
    bound_to: frozenset[BoundTo] = frozenset()
    unbound: bool = False
    clients: frozenset[str] | None = None
    scopes: frozenset[str] = frozenset()
    max_auth_age_ms: int | None = None
    reservation: bool = False
    header: str = "x-ott"
    scheme: str | None = None
    keeps_credential: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Which requests a route means; None is any host, any method."""

    template: Template
    hosts: tuple[str, ...] | None = None
    methods: tuple[str, ...] | None = None


@dataclass(slots=True)
class _End:
    """The routes of one template; ``ends_in_slash`` is None where both spellings are meant (``{rest**}``)."""

    ends_in_slash: bool | None
    by_method: dict[str | None, Route] = field(default_factory=dict)


@dataclass(slots=True)
class _Node:
    """All templates that share the segments up to here."""

    literals: dict[str, "_Node"] = field(default_factory=dict)
    parameter: "_Node | None" = None
    end: _End | None = None
    rest: _End | None = None


class RouteTable:
    """The compiled routes of one policy; immutable once built."""

    def __init__(self, entries: Iterable[tuple[Match, Route]]) -> None:
        """Compile.  ``policy.document`` has refused what would overlap; here an overlap is a programmer's error."""
        self._by_name: dict[str, Route] = {}
        self._by_host: dict[str | None, _Node] = {}
        self._same_but_port: dict[str, list[str]] = {}
        for match, route in entries:
            self._add(match, route)

    @property
    def routes(self) -> tuple[Route, ...]:
        """Every route, in the order of the policy."""
        return tuple(self._by_name.values())

    def match(self, method: str, target: CanonicalTarget) -> Route | Rejection:
        """Return the one route that answers, whichever way the upstream reads the target; else why none does."""
        chosen = self._select(method, target.host, target.segments)
        if isinstance(chosen, Rejection):
            return chosen
        paths, hosts = other_readings(target), self._like(target.host)
        if not paths and not hosts:
            return chosen
        is_sure = all(
            self._select(method, host, path) is chosen
            for host in (target.host, *hosts)
            for path in (target.segments, *paths)
        )
        return chosen if is_sure else _AMBIGUOUS

    def named(self, name: str, method: str, target: CanonicalTarget) -> Route | Rejection:
        """Return the route that Envoy names, if it is the very one that the table selects.

        A name never widens what the table allows: where a narrower route answers for this target, the name of a
        broader one is a mismatch.
        """
        if name not in self._by_name:
            return Rejection(Reason.ROUTE_NAME_UNKNOWN)
        chosen = self.match(method, target)
        if isinstance(chosen, Rejection) and chosen.reason is not Reason.ROUTE_UNKNOWN:
            return chosen
        return chosen if chosen is self._by_name[name] else Rejection(Reason.ROUTE_NAME_MISMATCH)

    def _select(self, method: str, host: str, segments: tuple[str, ...]) -> Route | Rejection:
        has_slash = len(segments) > 1 and not segments[-1]
        if has_slash:
            segments = segments[:-1]
        is_left_out = is_passed_by = False
        for end in self._ends(host, segments):
            route = end.by_method.get(method) or (None if is_left_out else end.by_method.get(None))
            if route is None:
                is_left_out = True
            elif end.ends_in_slash is None or end.ends_in_slash == has_slash:
                return _AMBIGUOUS if is_passed_by else route
            else:
                is_passed_by = True
        return _UNKNOWN

    def _ends(self, host: str, segments: tuple[str, ...]) -> Iterator[_End]:
        for key in (host, None):
            root = self._by_host.get(key)
            if root is not None:
                yield from _ends_below(root, segments)

    def _like(self, host: str) -> Sequence[str]:
        """Return the policy's hosts that an unknown host differs from by its port only."""
        return () if host in self._by_host else self._same_but_port.get(_without_port(host), ())

    def _add(self, match: Match, route: Route) -> None:
        if self._by_name.setdefault(route.name, route) is not route:
            raise ValueError(f"two routes named {route.name}")
        for host in (None,) if match.hosts is None else match.hosts:
            if host is not None and host not in self._by_host:
                self._same_but_port.setdefault(_without_port(host), []).append(host)
            end = _end_of(match.template, self._by_host.setdefault(host, _Node()))
            for method in (None,) if match.methods is None else match.methods:
                if end.by_method.setdefault(method, route) is not route:
                    raise ValueError(f"{route.name} and {end.by_method[method].name} match the same requests")


def _ends_below(root: _Node, segments: tuple[str, ...]) -> Iterator[_End]:
    """Yield the ends that take ``segments``, in the documented order; at most one visit for each template's node."""
    pending: list[tuple[_Node | _End, int]] = [(root, 0)]
    while pending:
        node, depth = pending.pop()
        if isinstance(node, _End):
            yield node
        elif depth == len(segments):
            if node.end is not None:
                yield node.end
        else:
            pending.extend(_next_nodes(node, segments[depth], depth))


def _next_nodes(node: _Node, segment: str, depth: int) -> Iterator[tuple[_Node | _End, int]]:
    # The last one yielded is the first one tried.  The root path `/` is one empty segment, which no parameter takes.
    if node.rest is not None and segment:
        yield node.rest, depth
    if node.parameter is not None and segment:
        yield node.parameter, depth + 1
    literal = node.literals.get(segment)
    if literal is not None:
        yield literal, depth + 1


def _end_of(template: Template, node: _Node) -> _End:
    for segment in template.segments:
        node = _child(node, segment)
    if template.takes_rest:
        node.rest = node.rest or _End(None)
        return node.rest
    node.end = node.end or _End(template.ends_in_slash)
    if node.end.ends_in_slash != template.ends_in_slash:
        raise ValueError(f"{template.text}: another route differs by a trailing slash only")
    return node.end


def _child(node: _Node, segment: str | None) -> _Node:
    if segment is not None:
        return node.literals.setdefault(segment, _Node())
    node.parameter = node.parameter or _Node()
    return node.parameter


def _without_port(host: str) -> str:
    return _PORT.sub("", host)  # `[::1]` ends in a bracket, so its last group is none
