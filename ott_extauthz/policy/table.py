"""Which route answers?  A compiled table; what it does not name is refused.

The order in which routes are tried, for one method, host and path:

1. the exact host, then the longest ``*.suffix``, then any host
2. segment by segment from the left: a literal before ``{x}`` before ``{rest**}``, going back where a branch ends
3. the exact method before any method; HEAD is not GET
4. among routes that differ by their header conditions alone, the one with the narrowest that hold

Five rules keep a request from slipping past a narrow route into a broad one:

- A method that a path's own route leaves out is not caught by a broader path's any-method route, only by one that
  names the method: with ``GET /admin`` and a public ``/{x}``, ``HEAD /admin`` is refused.
- ``/admin/`` and ``/admin`` are one path to many servers: where only the other spelling has a route, a broader
  route does not take it.
- ``/ADMIN`` and ``/admin`` are one path to Express, ASP.NET and IIS: where only another case of a literal has a route,
  a broader route does not take it.
- Header conditions and ``grpc`` are looked at when host, path and method have found their routes: where none of these
  holds, the request is refused, and no broader path, host or any-method route takes it.
- Every other reading of the path, and of a host that differs from a known one by its port only (Istio ignores ports),
  must select the very same route.
"""

from collections.abc import Iterable
from typing import Final

from ott_extauthz.model.facts import Headers
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.hosts import HostIndex
from ott_extauthz.policy.paths import End, Node, end_of, ends_below
from ott_extauthz.policy.routes import Match, Route
from ott_extauthz.policy.slots import Slot
from ott_extauthz.policy.target import CanonicalTarget, other_readings

_UNKNOWN: Final = Rejection(Reason.ROUTE_UNKNOWN)
_AMBIGUOUS: Final = Rejection(Reason.PATH_AMBIGUOUS)


class RouteTable:
    """The compiled routes of one policy; immutable once built."""

    def __init__(self, entries: Iterable[tuple[Match, Route]]) -> None:
        """Compile.  ``policy.document`` has refused what would overlap; here an overlap is a programmer's error."""
        self._entries: list[tuple[Match, Route]] = []
        self._by_name: dict[str, Route] = {}
        self._by_host = HostIndex(Node)
        for match, route in entries:
            self._add(match, route)

    @property
    def routes(self) -> tuple[Route, ...]:
        """Every route, in the order of the policy."""
        return tuple(self._by_name.values())

    @property
    def entries(self) -> tuple[tuple[Match, Route], ...]:
        """Every route with what it means, in the order of the policy."""
        return tuple(self._entries)

    def match(self, method: str, target: CanonicalTarget, headers: Headers) -> Route | Rejection:
        """Return the one route that answers, whichever way the upstream reads the target; else why none does."""
        chosen = self._select(method, target.host, target.segments, headers)
        if isinstance(chosen, Rejection):
            return chosen
        paths, hosts = other_readings(target), self._by_host.like(target.host)
        if not paths and not hosts:
            return chosen
        is_sure = all(
            self._select(method, host, path, headers) is chosen
            for host in (target.host, *hosts)
            for path in (target.segments, *paths)
        )
        return chosen if is_sure else _AMBIGUOUS

    def named(self, name: str, method: str, target: CanonicalTarget, headers: Headers) -> Route | Rejection:
        """Return the route that Envoy names, if it is the very one that the table selects.

        A name never widens what the table allows: where a narrower route answers for this target, the name of a
        broader one is a mismatch.
        """
        if name not in self._by_name:
            return Rejection(Reason.ROUTE_NAME_UNKNOWN)
        chosen = self.match(method, target, headers)
        if isinstance(chosen, Rejection) and chosen.reason is not Reason.ROUTE_UNKNOWN:
            return chosen
        return chosen if chosen is self._by_name[name] else Rejection(Reason.ROUTE_NAME_MISMATCH)

    def _select(self, method: str, host: str, segments: tuple[str, ...], headers: Headers) -> Route | Rejection:
        has_slash = len(segments) > 1 and not segments[-1]
        if has_slash:
            segments = segments[:-1]
        is_left_out = is_passed_by = False
        for root in self._by_host.tiers(host):
            for end, is_exact in ends_below(root, segments):
                slot = _slot(end, method, takes_any=not is_left_out)
                if slot is None:
                    is_left_out = True
                elif is_exact and (end.ends_in_slash is None or end.ends_in_slash == has_slash):
                    return _AMBIGUOUS if is_passed_by else slot.choose(headers)
                else:
                    is_passed_by = True
        return _UNKNOWN

    def _add(self, match: Match, route: Route) -> None:
        if self._by_name.setdefault(route.name, route) is not route:
            raise ValueError(f"two routes named {route.name}")
        self._entries.append((match, route))
        for host in (None,) if match.hosts is None else match.hosts:
            end = end_of(match.template, self._by_host.at(host))
            for method in (None,) if match.methods is None else match.methods:
                end.by_method.setdefault(method, Slot()).add(match.conditions, route)


def _slot(end: End, method: str, *, takes_any: bool) -> Slot | None:
    slot = end.by_method.get(method)
    return end.by_method.get(None) if slot is None and takes_any else slot
