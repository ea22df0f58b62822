"""Does every route to a guarded backend of Envoy Gateway lead past us?"""

from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.expectations import Expectations
from ott_extauthz.envoy_lint.finding import Finding
from ott_extauthz.envoy_lint.kubernetes.catalogue import gateway as rules
from ott_extauthz.envoy_lint.kubernetes.gateway_targets import HTTP_ROUTES, parents_of, targets_of
from ott_extauthz.envoy_lint.kubernetes.objects import GATEWAY, Object, Objects
from ott_extauthz.envoy_lint.kubernetes.ours import Ours
from ott_extauthz.envoy_lint.kubernetes.part import Part

_STREAMS: Final = ("TCPRoute", "TLSRoute")
_Backend = tuple[str, str, str, object]


def found_in_ways(objects: Objects, ours: Ours, expected: Expectations) -> Iterator[Finding]:
    """Yield the routes that nobody is asked about, to backends of which somebody is asked elsewhere."""
    if any(policy.spec.at("targetSelectors").is_there for policy in ours.gateway_policies):
        return
    targets = {(target.kind, target.name) for policy in ours.gateway_policies for target in targets_of(policy)}
    checked: set[_Backend] = set()
    others: list[Object] = []
    for kind in (*HTTP_ROUTES, *_STREAMS):
        for route in objects.kind(kind, GATEWAY):
            if kind in HTTP_ROUTES and _is_checked(route, targets):
                checked.update(_key(backend, route) for _, backend in _backends(route))
            else:
                others.append(route)
    for route in others:
        for rule, backend in _backends(route):
            if _key(backend, route) in checked and not _is_public(rule, expected):
                told = f"{route.kind} {route.name} leads to {backend.at('name').text}"
                yield backend.finding(rules.GATEWAY_SECOND_WAY, told)


def _is_checked(route: Object, targets: set[tuple[str, str]]) -> bool:
    at_gateway = {("Gateway", name) for name in parents_of(route)}
    return (route.kind, route.name) in targets or bool(at_gateway & targets)


def _backends(route: Object) -> Iterator[tuple[Part, Part]]:
    for rule in route.spec.at("rules"):
        for backend in rule.at("backendRefs"):
            yield rule, backend


def _key(backend: Part, route: Object) -> _Backend:
    namespace = backend.at("namespace").text or route.namespace
    return backend.at("kind").text or "Service", namespace, backend.at("name").text, backend.at("port").number


def _is_public(rule: Part, expected: Expectations) -> bool:
    """Whether a rule takes exact paths alone, of which the server's policy asks nothing either."""
    public = {route.path for route in expected.routes if route.is_public}
    paths = [match.at("path") for match in rule.at("matches")]
    return bool(paths) and all(path.at("type").text == "Exact" and path.at("value").text in public for path in paths)
