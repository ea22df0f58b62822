"""Can every route be called by somebody, and has every grant a use?

An error: a route that no client can meet, because none is listed, may call it, or has the roles and scopes it asks for.
A warning: a role that no client has, a client that no route lets in.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ott_extauthz.documents.problems import Problem
from ott_extauthz.policy.document.agreement.names import roles_of
from ott_extauthz.policy.document.client import taken
from ott_extauthz.policy.document.parts import Entry, Part, RouteEntry
from ott_extauthz.policy.hosts import is_within


def grant_problems(parts: Sequence[Part], routes: Sequence[RouteEntry], clients: Sequence[Entry]) -> Iterator[Problem]:
    """Yield every route that asks for a token and that no client of the policy could ever call."""
    if not clients or any(part.document is None for part in parts):
        return
    holders = _holders(parts, clients)
    by_id: dict[object, list[_Holder]] = {}
    for holder in holders:
        by_id.setdefault(holder.entry.data.get("client_id"), []).append(holder)
    for route in routes:
        if not route.asks_for_a_token:
            continue
        named = route.words("clients")
        listed = [holder for name in (None, *named) for holder in by_id.get(name, ())] if named else holders
        if not listed:
            yield route.problem((), "can never be called: its clients are not among the policy's clients")
        elif not any(holder.can_call(route) for holder in listed):
            message = "can never be called: no client that it lists has its roles and scopes and may call it"
            yield route.problem((), message)


def idle_grants(parts: Sequence[Part], routes: Sequence[RouteEntry], clients: Sequence[Entry]) -> Iterator[Problem]:
    """Yield every role that no client has, and every client that can call no route."""
    held = {role for client in clients for role in client.words("roles")}
    for part in parts:
        roles = part.section("roles")
        for name in roles if isinstance(roles, dict) else ():
            if name not in held:
                yield part.located.problem(("roles", name), "no client has this role")
    for holder in _holders(parts, clients):
        if not any(holder.is_listed(route) and holder.can_call(route) for route in routes if route.asks_for_a_token):
            yield holder.entry.problem((), "can call no route of this policy")


@dataclass(frozen=True, slots=True)
class _Holder:
    """A client and what its roles grant; ``scopes`` None where the policy has no roles."""

    entry: Entry
    roles: frozenset[str]
    scopes: frozenset[str] | None

    def is_listed(self, route: RouteEntry) -> bool:
        named = route.words("clients")
        return not named or self.entry.data.get("client_id") in {None, *named}

    def can_call(self, route: RouteEntry) -> bool:
        """Whether the policy alone would let it."""
        has_scopes = self.scopes is None or self.scopes.issuperset(route.words("scopes"))
        return has_scopes and self.roles.issuperset(route.words("roles")) and _may_call(self.entry, route)


def _holders(parts: Sequence[Part], clients: Sequence[Entry]) -> list[_Holder]:
    bundles = roles_of(parts)
    has_roles = any(part.section("roles") is not None for part in parts)
    holders = []
    for client in clients:
        roles = frozenset(client.words("roles"))
        granted = frozenset[str]().union(*(bundles.get(role, ()) for role in roles))
        holders.append(_Holder(client, roles, granted if has_roles else None))
    return holders


def _may_call(client: Entry, route: RouteEntry) -> bool:
    rule = client.data.get("may_call")
    if not isinstance(rule, dict):
        return True
    hosts = None if route.match is None else route.match.hosts
    is_reached = (
        "hosts" not in rule
        or hosts is None
        or any(is_within(asked, allowed) or is_within(allowed, asked) for asked in hosts for allowed in rule["hosts"])
    )
    names = ("routes", str(route.data.get("name"))), ("audiences", str(route.data.get("audience")))
    return is_reached and all(key not in rule or bool(taken(rule[key], [value])) for key, value in names)
