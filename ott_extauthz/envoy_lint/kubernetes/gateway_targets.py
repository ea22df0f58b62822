"""What do Envoy Gateway's policies mean?  Their targets, and the gateways behind them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ott_extauthz.envoy_lint.kubernetes.objects import GATEWAY, Object, Objects
from ott_extauthz.envoy_lint.kubernetes.part import Part

HTTP_ROUTES: Final = ("HTTPRoute", "GRPCRoute")
"""Kinds of routes whose requests a SecurityPolicy has checked; of the others nobody reads HTTP."""


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that a policy names, of the policy's own namespace."""

    kind: str
    name: str
    part: Part


def targets_of(policy: Object) -> list[Target]:
    """Return what a policy names; what it selects by labels is not among it."""
    parts = [*policy.spec.at("targetRefs"), policy.spec.at("targetRef")]
    return [Target(part.at("kind").text, part.at("name").text, part) for part in parts if part.is_there]


def routes_at(objects: Objects, gateway: str, kinds: Iterable[str] = ("HTTPRoute",)) -> Iterator[Object]:
    """Yield the routes of these kinds that are attached to a gateway."""
    for kind in kinds:
        for route in objects.kind(kind, GATEWAY):
            if gateway in parents_of(route):
                yield route


def protected_gateways(objects: Objects, policies: Iterable[Object]) -> set[str] | None:
    """Return the names of the gateways that policies mean, also by a route; None where that cannot be told."""
    found: set[str] = set()
    for policy in policies:
        targets = targets_of(policy)
        if not targets or policy.spec.at("targetSelectors").is_there:
            return None
        for target in targets:
            if target.kind == "Gateway":
                found.add(target.name)
                continue
            parents = [name for route in _routes_named(objects, target) for name in parents_of(route)]
            if not parents:
                return None
            found.update(parents)
    return found


def may_meet(objects: Objects, policy: Object, namespace: str) -> bool:
    """Whether what a policy means may be served by a gateway of this namespace; a route that is not shown may."""
    if policy.namespace == namespace:
        return True
    for target in targets_of(policy):
        routes = [] if target.kind == "Gateway" else [*_routes_named(objects, target)]
        homes = {part.at("namespace").text for route in routes for part in route.spec.at("parentRefs")}
        if namespace in homes or (target.kind != "Gateway" and not routes):
            return True
    return False


def _routes_named(objects: Objects, target: Target) -> Iterator[Object]:
    return (one for one in objects.kind(target.kind, GATEWAY) if one.name == target.name)


def parents_of(route: Object) -> set[str]:
    """Return the names of the gateways that a route is attached to."""
    return {part.at("name").text for part in route.spec.at("parentRefs") if part.at("kind").text in ("", "Gateway")}
