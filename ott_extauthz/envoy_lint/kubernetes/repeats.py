"""Does a proxy send a request of a one-time route more than once?  Without a policy nobody knows which these are."""

from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.expectations import Expectations, ExpectedRoute
from ott_extauthz.envoy_lint.finding import Finding
from ott_extauthz.envoy_lint.kubernetes.catalogue import traffic as rules
from ott_extauthz.envoy_lint.kubernetes.gateway_targets import routes_at, targets_of
from ott_extauthz.envoy_lint.kubernetes.mesh import Mesh
from ott_extauthz.envoy_lint.kubernetes.objects import ENVOY_GATEWAY, GATEWAY, ISTIO_NETWORKING, Object, Objects
from ott_extauthz.envoy_lint.kubernetes.part import Part
from ott_extauthz.envoy_lint.kubernetes.reach import Reach, single_use
from ott_extauthz.envoy_lint.kubernetes.written import Written, by_gateway, by_istio, filters_of
from ott_extauthz.envoy_lint.rules.retrying import REPEATING

_NOT_SENT: Final = ("redirect", "directResponse", "delegate")
_LOOKED_AT: Final = frozenset({"uri", "method", "name"})


def found_in_repeats(objects: Objects, mesh: Mesh, expected: Expectations) -> Iterator[Finding]:
    """Yield the retries and mirrors of one-time routes."""
    for service in objects.kind("VirtualService", ISTIO_NETWORKING):
        yield from _virtual_service(service, mesh, expected)
    for route in objects.kind("HTTPRoute", GATEWAY):
        for rule, each in _reached(route, expected):
            yield from _http_route(rule, each)
    for policy in objects.kind("BackendTrafficPolicy", ENVOY_GATEWAY):
        yield from _backend_traffic(policy, objects, expected)


def _virtual_service(service: Object, mesh: Mesh, expected: Expectations) -> Iterator[Finding]:
    hosts = [spelled for host in service.spec.at("hosts").texts for spelled in _spellings(host, service.namespace)]
    is_off = any(config.at("defaultHttpRetryPolicy", "attempts").number == 0 for config in mesh.configs)
    seen: set[tuple[object, ...]] = set()
    for route in single_use(expected, hosts):
        for rule in _first_matching(service, route):
            for finding in _istio_route(rule, route, is_off=is_off):
                key = (finding.rule.name, finding.place.path)
                if key not in seen:  # one for each place, however many routes of ours come by
                    seen.add(key)
                    yield finding


def _first_matching(service: Object, route: ExpectedRoute) -> Iterator[Part]:
    """Yield what requests of the route can come by: in order, up to the first that takes all of them."""
    for rule in service.spec.at("http"):
        reaches = [_istio_reach(match) for match in rule.at("match")] or [Reach()]
        if any(reach.meets(route) for reach in reaches):
            yield rule
        if any(reach.holds(route) for reach in reaches):
            return


def _istio_reach(match: Part) -> Reach:
    uri = match.at("uri")
    method = match.at("method", "exact").text
    names = {name for name, member in match.members() if member.value}
    has_more = bool(names - _LOOKED_AT) or uri.at("regex").is_there or (match.at("method").is_there and not method)
    return Reach(
        prefix=uri.at("prefix").text or None,
        exact=uri.at("exact").text or None,
        methods=(method,) if method else (),
        has_more=has_more,
    )


def _istio_route(rule: Part, route: ExpectedRoute, *, is_off: bool) -> Iterator[Finding]:
    if any(rule.at(name).is_there for name in _NOT_SENT):
        return
    retries = rule.at("retries")
    if retries.is_there and retries.at("attempts").number != 0:
        yield retries.finding(rules.RETRIES, f"{retries.at('attempts').value} attempts for route {route.name}")
    elif not retries.is_there and not is_off:
        yield rule.finding(rules.DEFAULT_RETRIES, f"no retries for route {route.name}, so 2 attempts")
    for name in ("mirror", "mirrors"):
        if rule.at(name).value:
            yield rule.at(name).finding(rules.MIRRORED, f"route {route.name} is mirrored")
    yield from _asked_for(by_istio(rule), route)


def _asked_for(written: Written, route: ExpectedRoute) -> Iterator[Finding]:
    for name, place in written:
        if name in REPEATING:  # Envoy's router reads them once the route has written them
            yield place.finding(rules.RETRIES, f"{name} is set for route {route.name}")


def _spellings(host: str, namespace: str) -> list[str]:
    """Return what callers may call a host: a short name is one of the namespace."""
    if "." in host or host == "*" or not namespace:
        return [host]
    return [host, *(f"{host}.{namespace}{rest}" for rest in ("", ".svc", ".svc.cluster.local"))]


def _reached(route: Object, expected: Expectations) -> Iterator[tuple[Part, ExpectedRoute]]:
    """Yield each rule of an HTTPRoute that a one-time route comes by; the most specific one counts, not the first."""
    hosts = route.spec.at("hostnames").texts or ("*",)
    rules_ = [
        (rule, [_gateway_reach(match) for match in rule.at("matches")] or [Reach()]) for rule in route.spec.at("rules")
    ]
    seen: set[int] = set()
    for each in single_use(expected, hosts):
        surest = max((_weight(one) for _, reaches in rules_ for one in reaches if one.holds(each)), default=-1)
        for number, (rule, reaches) in enumerate(rules_):
            is_reached = any(one.meets(each) and _weight(one) >= surest for one in reaches)
            if is_reached and number not in seen:
                seen.add(number)
                yield rule, each


def _weight(reach: Reach) -> int:
    return 1 << 16 if reach.exact is not None else len((reach.prefix or "").rstrip("/"))


def _gateway_reach(match: Part) -> Reach:
    kind, value = match.at("path", "type").text or "PathPrefix", match.at("path", "value").text or "/"
    method = match.at("method").text
    return Reach(
        prefix=value if kind == "PathPrefix" else None,
        exact=value if kind == "Exact" else None,
        methods=(method,) if method else (),
        has_more=kind == "RegularExpression" or any(match.at(name).value for name in ("headers", "queryParams")),
    )


def _http_route(rule: Part, route: ExpectedRoute) -> Iterator[Finding]:
    retry = rule.at("retry")
    if retry.is_there and retry.at("attempts").number != 0:
        yield retry.finding(rules.RETRIES, f"retry for route {route.name}")
    yield from _asked_for(by_gateway(rule), route)
    for one in filters_of(rule):
        if one.at("type").text == "RequestMirror":
            yield one.finding(rules.MIRRORED, f"route {route.name} is mirrored")


def _backend_traffic(policy: Object, objects: Objects, expected: Expectations) -> Iterator[Finding]:
    retry = policy.spec.at("retry")
    if not retry.is_there or retry.at("numRetries").number == 0:
        return
    others = (one for one in objects.kind("BackendTrafficPolicy", ENVOY_GATEWAY) if one is not policy)
    taken = {target.name for one in others for target in targets_of(one) if target.kind == "HTTPRoute"}
    for target in targets_of(policy):
        named = (one for one in objects.kind("HTTPRoute", GATEWAY) if one.name == target.name)
        # A route's own policy takes the place of its gateway's.
        at_gateway = (one for one in routes_at(objects, target.name) if one.name not in taken)
        for route in named if target.kind == "HTTPRoute" else at_gateway:
            for _, each in _reached(route, expected):
                yield retry.finding(rules.RETRIES, f"{policy.name} retries route {each.name} by HTTPRoute {route.name}")
                return
