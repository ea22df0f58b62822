"""Does Envoy Gateway ask our server as it must be asked, for every request?  SecurityPolicy and ClientTrafficPolicy."""

from collections.abc import Iterator, Mapping
from typing import Final

from ott_extauthz.envoy_lint.expectations import Expectations
from ott_extauthz.envoy_lint.finding import Finding
from ott_extauthz.envoy_lint.kubernetes.catalogue import gateway as rules
from ott_extauthz.envoy_lint.kubernetes.gateway_targets import (
    HTTP_ROUTES,
    protected_gateways,
    routes_at,
    targets_of,
)
from ott_extauthz.envoy_lint.kubernetes.istio_providers import LONGEST_TIMEOUT_SECONDS
from ott_extauthz.envoy_lint.kubernetes.objects import ENVOY_GATEWAY, GATEWAY, Object, Objects
from ott_extauthz.envoy_lint.kubernetes.ours import Ours
from ott_extauthz.envoy_lint.kubernetes.part import Part
from ott_extauthz.envoy_lint.kubernetes.patches import set_at_gateways

_TARGETS: Final = ("targetRef", "targetRefs", "targetSelectors")


def found_in_gateway_policies(objects: Objects, ours: Ours, expected: Expectations) -> Iterator[Finding]:
    """Yield what is wrong with the policies that ask our server, and with what gateways let through to them."""
    for policy in ours.gateway_policies:
        patched = set_at_gateways(objects, policy)
        asked = policy.spec.at("extAuth")
        yield from _asking(asked, policy.name, patched)
        yield from _body(asked, policy.name, expected, patched)
        yield from _targets(policy, objects)
        yield from _overridden(policy, objects)
        yield from _not_patched(policy, expected, patched)
    if ours.gateway_policies:
        yield from _let_through(objects, ours)


def _asking(asked: Part, name: str, patched: Mapping[str, object]) -> Iterator[Finding]:
    if asked.at("failOpen").is_true:
        yield asked.at("failOpen").finding(rules.GATEWAY_FAIL_OPEN, f"{name}: failOpen is true")
    if asked.at("http").is_there:
        yield asked.at("http").finding(rules.GATEWAY_HTTP, f"{name}: extAuth.http")
    timeout = asked.at("timeout")
    if timeout.seconds is None or not 0 < timeout.seconds <= LONGEST_TIMEOUT_SECONDS:
        told = f"timeout is {timeout.value}" if timeout.is_there else "no timeout, so 10s"
        yield timeout.finding(rules.GATEWAY_TIMEOUT, f"{name}: {told}")
    if not asked.at("statusOnError").is_there and "status_on_error" not in patched:
        yield asked.at("statusOnError").finding(rules.GATEWAY_STATUS, f"{name}: no statusOnError, so 403")
    if asked.at("recomputeRoute").is_true:
        yield asked.at("recomputeRoute").finding(rules.GATEWAY_ROUTE_CACHE, f"{name}: recomputeRoute is true")
    if asked.at("headersToExtAuth").value:
        yield asked.at("headersToExtAuth").finding(rules.GATEWAY_HEADERS, f"{name}: headersToExtAuth")
    retry = asked.at("grpc", "backendSettings", "retry")
    if retry.is_there and retry.at("numRetries").number != 0:
        yield retry.finding(rules.GATEWAY_RPC_RETRIES, f"{name}: backendSettings.retry")


def _body(asked: Part, name: str, expected: Expectations, patched: Mapping[str, object]) -> Iterator[Finding]:
    body = asked.at("bodyToExtAuth")
    needing = [route.name for route in expected.routes if route.needs_body or route.needs_raw_body]
    exactly = [route.name for route in expected.routes if route.needs_raw_body]
    if needing and not body.is_there:
        yield body.finding(rules.GATEWAY_NO_BODY, f"{name}: {needing[0]} needs it")
    elif exactly and patched.get("pack_as_bytes") is not True:
        yield body.finding(rules.GATEWAY_TEXT_BODY, f"{name}: {exactly[0]} needs its bytes")


def _targets(policy: Object, objects: Objects) -> Iterator[Finding]:
    if not any(policy.spec.at(name).value for name in _TARGETS):
        yield policy.spec.finding(rules.GATEWAY_NO_TARGET, f"{policy.name} has none")
    for target in targets_of(policy):
        there = {one.name for one in objects.kind(target.kind, GATEWAY) if one.namespace == policy.namespace}
        if there and target.name not in there:
            yield target.part.finding(rules.GATEWAY_UNKNOWN_TARGET, f"{policy.name}: {target.kind} {target.name}")


def _overridden(policy: Object, objects: Objects) -> Iterator[Finding]:
    """Yield the policies of single routes that take this one's place at a gateway and ask nobody."""
    gateways = [target.name for target in targets_of(policy) if target.kind == "Gateway"]
    attached = {route.name for gateway in gateways for route in routes_at(objects, gateway, HTTP_ROUTES)}
    is_of_one_listener = any(target.part.at("sectionName").text for target in targets_of(policy))
    for other in objects.kind("SecurityPolicy", ENVOY_GATEWAY):
        if other.spec.at("extAuth").is_there or other.spec.at("mergeType").is_there:
            continue
        for target in targets_of(other):
            section = target.part.at("sectionName").text
            is_listeners = target.kind == "Gateway" and section and target.name in gateways and not is_of_one_listener
            if target.kind in HTTP_ROUTES and target.name in attached:
                told = f"{other.name} takes the place of {policy.name} for route {target.name}"
                yield target.part.finding(rules.GATEWAY_OVERRIDDEN, told)
            elif is_listeners:
                told = f"{other.name} takes the place of {policy.name} for listener {section}"
                yield target.part.finding(rules.GATEWAY_OVERRIDDEN, told)


def _not_patched(policy: Object, expected: Expectations, patched: Mapping[str, object]) -> Iterator[Finding]:
    if patched.get("validate_mutations") is not True:
        yield policy.finding(rules.GATEWAY_MUTATIONS, f"no EnvoyPatchPolicy sets validate_mutations for {policy.name}")
    if expected.is_told and expected.certificate_source == "peer" and not patched.get("include_peer_certificate"):
        told = f"no EnvoyPatchPolicy sets include_peer_certificate for {policy.name}"
        yield policy.finding(rules.GATEWAY_NO_PEER, told)


def _let_through(objects: Objects, ours: Ours) -> Iterator[Finding]:
    protected = protected_gateways(objects, ours.gateway_policies)
    for one in objects.kind("ClientTrafficPolicy", ENVOY_GATEWAY):
        if protected is not None and not any(target.name in protected for target in targets_of(one)):
            continue
        slashes = one.spec.at("path", "escapedSlashesAction")
        if slashes.text == "KeepUnchanged":
            yield slashes.finding(rules.GATEWAY_PATHS, f"{one.name}: escapedSlashesAction is KeepUnchanged")
        merging = one.spec.at("path", "disableMergeSlashes")
        if merging.is_true:
            yield merging.finding(rules.GATEWAY_PATHS, f"{one.name}: disableMergeSlashes is true")
        optional = one.spec.at("tls", "clientValidation", "optional")
        if optional.is_true:
            yield optional.finding(rules.GATEWAY_OPTIONAL, f"{one.name}: clientValidation.optional is true")
        underscores = one.spec.at("headers", "withUnderscoresAction")
        if underscores.text == "Allow":
            yield underscores.finding(rules.GATEWAY_UNDERSCORES, f"{one.name}: withUnderscoresAction is Allow")
