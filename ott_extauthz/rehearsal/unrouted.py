"""Why does no route of the policy answer?  In words that name what is missing: the host, the method, or the path."""

from collections.abc import Iterator, Sequence
from typing import Final

from ott_extauthz.model.facts import Headers
from ott_extauthz.model.reason import REASONS, Reason
from ott_extauthz.policy.document import Policy
from ott_extauthz.policy.hosts import HostIndex
from ott_extauthz.policy.routes import Match, Route
from ott_extauthz.policy.table import RouteTable
from ott_extauthz.policy.target import CanonicalTarget
from ott_extauthz.rehearsal.shown import plain

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_DEFAULT: Final = "What no route matches is denied."
_MOST: Final = 5


def unrouted(reason: Reason, policy: Policy, method: str, target: CanonicalTarget, headers: Headers) -> str:
    """Return what to say of a refusal that has no route."""
    if reason is not Reason.ROUTE_UNKNOWN:
        return REASONS[reason].text
    known, asked = _of_host(policy.table, target.host), f"{method} {plain(target.path)}"
    if others := other_methods(policy.table, target, headers):
        return f"No route is for {asked}, though this path has {_listed(others)}. {_DEFAULT}"
    if all(match.hosts is None for match, _ in known):
        hosts = sorted({host for match, _ in policy.table.entries for host in match.hosts or ()})
        rest = " and those for any host have not this path" if known else ""
        return f"No route names the host {plain(target.host)}, only {_listed(hosts)}{rest and ','}{rest}. {_DEFAULT}"
    return f"No route is for {asked} at {plain(target.host)}, which has {_listed(_told(known))}. {_DEFAULT}"


def other_methods(table: RouteTable, target: CanonicalTarget, headers: Headers) -> list[str]:
    """Return the methods that a path does have routes for, each with its route: the commonest reason for none."""
    found = [(method, table.match(method, target, headers)) for method in METHODS]
    return [f"{method}: {route.name}" for method, route in found if isinstance(route, Route)]


def _of_host(table: RouteTable, host: str) -> list[tuple[Match, Route]]:
    """Return the routes that speak for a host, by the table's own reading of host patterns."""
    index: HostIndex[list[tuple[Match, Route]]] = HostIndex(list)
    for match, route in table.entries:
        for pattern in match.hosts or (None,):
            index.at(pattern).append((match, route))
    return [entry for tier in index.tiers(host) for entry in tier]


def _told(entries: Sequence[tuple[Match, Route]]) -> Iterator[str]:
    for match, route in entries:
        yield f"{'/'.join(match.methods or ('any method',))} {match.template.text} ({route.name})"


def _listed(texts: Sequence[str] | Iterator[str]) -> str:
    every = [*texts]
    more = f" and {len(every) - _MOST} more" if len(every) > _MOST else ""
    return (", ".join(every[:_MOST]) + more) or "nothing"
