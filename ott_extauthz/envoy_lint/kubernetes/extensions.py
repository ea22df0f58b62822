"""Do filters that are put into a proxy's chain come behind ext_authz?

Istio's order: what authenticates, phase AUTHN, what marks requests, ext_authz, then everything else.  Envoy Gateway has
ext_authz before Lua, ext_proc and Wasm, unless an EnvoyProxy's ``filterOrder`` says otherwise.
"""

from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.chains import filters_in
from ott_extauthz.envoy_lint.configuration import Envoy
from ott_extauthz.envoy_lint.finding import Finding
from ott_extauthz.envoy_lint.kubernetes.catalogue import traffic
from ott_extauthz.envoy_lint.kubernetes.gateway_targets import protected_gateways, routes_at, targets_of
from ott_extauthz.envoy_lint.kubernetes.mesh import Mesh
from ott_extauthz.envoy_lint.kubernetes.objects import ENVOY_GATEWAY, Object, Objects
from ott_extauthz.envoy_lint.kubernetes.ours import Ours
from ott_extauthz.envoy_lint.kubernetes.part import Part
from ott_extauthz.envoy_lint.kubernetes.patched import EXT_AUTHZ, may_touch
from ott_extauthz.envoy_lint.kubernetes.patches import patches_among
from ott_extauthz.envoy_lint.node import Node
from ott_extauthz.envoy_lint.rules.order import may_change

_EXTENSIONS: Final = "extensions.istio.io"
_BEFORE_CHECK: Final = ("AUTHN", "AUTHZ")
_FRONT: Final = ("jwt_authn", "istio_authn", "metadata_exchange")
_MARKING: Final = "rbac"
_LEAVING: Final = "SIDECAR_OUTBOUND"
_OF_GATEWAY: Final = {"lua": "lua", "wasm": "wasm", "extProc": "ext_proc", "dynamicModule": "dynamic_modules"}


def found_in_extensions(objects: Objects, mesh: Mesh, ours: Ours) -> Iterator[Finding]:
    """Yield the filters behind ext_authz that may change what was judged."""
    for one in patches_among(objects, mesh, ours):
        for patch in one.spec.at("configPatches"):
            yield from _inserted(patch, one)
        for patch in one.spec.at("jsonPatches"):
            yield from _added(patch, one)
    for kind in ("WasmPlugin", "TrafficExtension"):
        for one in objects.kind(kind, _EXTENSIONS):
            if any(may_touch(one, policy, mesh) for policy in ours.policies):
                yield from _by_phase(one)
    if ours.gateway_policies:
        yield from _of_gateways(objects, ours)


def _inserted(patch: Part, one: Object) -> Iterator[Finding]:
    value, operation = patch.at("patch", "value"), patch.at("patch", "operation").text
    if patch.at("applyTo").text != "HTTP_FILTER" or patch.at("match", "context").text == _LEAVING:
        return
    reference = patch.at("match", "listener", "filterChain", "filter", "subFilter", "name").text
    if _is_behind(operation, reference) and _may_change(value):
        where = f"{operation} {reference}".rstrip()
        yield value.finding(traffic.FILTER_BEHIND, f"{one.name} puts {value.at('name').text or 'a filter'} ({where})")


def _is_behind(operation: str, reference: str) -> bool:
    """Whether the place is behind ext_authz; without a reference it is one of the ends."""
    is_front = any(name in reference for name in _FRONT)
    if operation == "INSERT_BEFORE":
        return bool(reference) and not (is_front or EXT_AUTHZ in reference or _MARKING in reference)
    return operation in ("INSERT_AFTER", "ADD") and not is_front


def _may_change(value: Part) -> bool:
    entry = Node(value.document, value.path, value.value)
    envoy = Envoy(bootstrap=Node(value.document, (), None))
    is_empty = not entry["typed_config"].is_there and not entry["config_discovery"].is_there
    return not is_empty and any(may_change(each) and not each.is_grpc_check for each in filters_in(envoy, [entry]))


def _added(patch: Part, one: Object) -> Iterator[Finding]:
    """An index says little of what stands before it, so that whatever may change a request is suspect."""
    operation = patch.at("operation")
    steps = operation.at("path").text.strip("/").split("/")
    is_filter = operation.at("op").text == "add" and len(steps) > 1 and steps[-2] in ("http_filters", "httpFilters")
    if is_filter and steps[-1] != "0" and _may_change(operation.at("value")):
        told = f"{one.name} adds {operation.at('value', 'name').text or 'a filter'} as number {steps[-1]}"
        yield operation.at("value").finding(traffic.FILTER_BEHIND, told)


def _by_phase(one: Object) -> Iterator[Finding]:
    phase = one.spec.at("phase")
    if phase.text not in _BEFORE_CHECK and one.spec.at("type").text != "NETWORK":
        told = f"{one.name} runs in phase {phase.text}" if phase.text else f"{one.name} has no phase: it runs last"
        yield phase.finding(traffic.FILTER_BEHIND, told)


def _of_gateways(objects: Objects, ours: Ours) -> Iterator[Finding]:
    gateways = protected_gateways(objects, ours.gateway_policies)
    routes = {route.name for gateway in gateways or () for route in routes_at(objects, gateway)}
    moved = set(_moved_before(objects))
    for one in objects.kind("EnvoyExtensionPolicy", ENVOY_GATEWAY):
        targets = {target.name for target in targets_of(one)}
        if gateways is not None and targets and not targets & (gateways | routes):
            continue
        for key, name in _OF_GATEWAY.items():
            if one.spec.at(key).value and name not in moved:
                yield one.spec.at(key).finding(traffic.FILTER_BEHIND, f"{one.name}: {key} runs behind ext_authz")


def _moved_before(objects: Objects) -> Iterator[str]:
    for one in objects.kind("EnvoyProxy", ENVOY_GATEWAY):
        for order in one.spec.at("filterOrder"):
            name, before, after = (order.at(key).text.rpartition(".")[2] for key in ("name", "before", "after"))
            if before == EXT_AUTHZ:
                yield name
            if name == EXT_AUTHZ and after:
                yield after
