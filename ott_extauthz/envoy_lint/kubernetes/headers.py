"""Whose word is in the headers?  Identities that routes write, credentials in logs, addresses from headers."""

from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.expectations import Expectations
from ott_extauthz.envoy_lint.finding import Finding
from ott_extauthz.envoy_lint.kubernetes.catalogue import traffic
from ott_extauthz.envoy_lint.kubernetes.gateway_targets import protected_gateways, targets_of
from ott_extauthz.envoy_lint.kubernetes.mesh import Mesh
from ott_extauthz.envoy_lint.kubernetes.objects import ENVOY_GATEWAY, GATEWAY, ISTIO_NETWORKING, Object, Objects
from ott_extauthz.envoy_lint.kubernetes.ours import Ours
from ott_extauthz.envoy_lint.kubernetes.part import Part
from ott_extauthz.envoy_lint.kubernetes.written import Written, by_gateway, by_istio
from ott_extauthz.envoy_lint.rules.logs import SECRET, headers_named
from ott_extauthz.model.facts import is_ours

_TELEMETRY: Final = "telemetry.istio.io"
_LOGGING: Final = (
    ("EnvoyFilter", ISTIO_NETWORKING),
    ("EnvoyProxy", ENVOY_GATEWAY),
    ("EnvoyPatchPolicy", ENVOY_GATEWAY),
)


def found_in_headers(objects: Objects, mesh: Mesh, ours: Ours, expected: Expectations) -> Iterator[Finding]:
    """Yield what routes write in our name, what logs get, and who says where a caller is."""
    for one in objects.kind("VirtualService", ISTIO_NETWORKING):
        for rule in one.spec.at("http"):
            yield from _identities(by_istio(rule), one)
    for kind in ("HTTPRoute", "GRPCRoute"):
        for one in objects.kind(kind, GATEWAY):
            for rule in one.spec.at("rules"):
                yield from _identities(by_gateway(rule), one)
    yield from _logged(objects, mesh)
    if ours.gateway_policies and expected.may_judge_addresses:
        yield from _addresses(objects, ours)


def _identities(written: Written, one: Object) -> Iterator[Finding]:
    for name, place in written:
        if is_ours(name):
            yield place.finding(traffic.IDENTITY, f"{one.name} writes {name}")


def _logged(objects: Objects, mesh: Mesh) -> Iterator[Finding]:
    for config in mesh.configs:
        yield from _formats(config)
    for kind, group in _LOGGING:
        for one in objects.kind(kind, group):
            yield from _formats(one)
    for one in objects.kind("Telemetry", _TELEMETRY):
        for tracing in one.spec.at("tracing"):
            for _, tag in tracing.at("customTags").members():
                yield from _tag(tag.at("header", "name"))


def _formats(part: Part) -> Iterator[Finding]:
    for name in sorted(headers_named(part.text) & SECRET):
        yield part.finding(traffic.LOGGED, f"the header {name}")
    for key, member in part.members():
        if key == "custom_tags":
            for _, tag in member.members():
                yield from _tag(tag.at("header", "name"))
        yield from _formats(member)
    for item in part:
        yield from _formats(item)


def _tag(name: Part) -> Iterator[Finding]:
    if name.text.lower() in SECRET:
        yield name.finding(traffic.LOGGED, f"every span has the header {name.text.lower()}")


def _addresses(objects: Objects, ours: Ours) -> Iterator[Finding]:
    protected = protected_gateways(objects, ours.gateway_policies)
    for one in objects.kind("ClientTrafficPolicy", ENVOY_GATEWAY):
        if protected is not None and not any(target.name in protected for target in targets_of(one)):
            continue
        custom = one.spec.at("clientIPDetection", "customHeader")
        if custom.is_there:
            yield custom.finding(traffic.ADDRESS, f"{one.name}: {custom.at('name').text or 'a header'}")
