"""What can one caller who opens and cancels calls by the hundred (rapid reset) do to everybody else's Checks?"""

from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.cancelled_calls import MOST_STREAMS, PER_CYCLE, as_it_counts
from ott_extauthz.envoy_lint.expectations import Expectations
from ott_extauthz.envoy_lint.finding import Finding, Rule
from ott_extauthz.envoy_lint.kubernetes.catalogue import cancelling as rules
from ott_extauthz.envoy_lint.kubernetes.istio_workloads import ways_to_us
from ott_extauthz.envoy_lint.kubernetes.mesh import Mesh
from ott_extauthz.envoy_lint.kubernetes.objects import ENVOY_GATEWAY, Objects
from ott_extauthz.envoy_lint.kubernetes.ours import Ours
from ott_extauthz.envoy_lint.kubernetes.part import Part

_OF_NATIVE: Final = (rules.ISTIO_STREAMS, rules.GATEWAY_STREAMS)


def found_in_cancelling(objects: Objects, mesh: Mesh, ours: Ours, expected: Expectations) -> Iterator[Finding]:
    """Yield what leaves a connection's Checks to any one caller's mercy."""
    for rule, part, told in _unbounded(objects, mesh, ours):
        if expected.transport != "grpcio" or rule not in _OF_NATIVE:
            yield part.finding(as_it_counts(rule, expected), told)


def _unbounded(objects: Objects, mesh: Mesh, ours: Ours) -> Iterator[tuple[Rule, Part, str]]:
    for host, traffic in ways_to_us(objects, ours):
        levels = (traffic, *traffic.at("portLevelSettings"))
        streams = [level.at("connectionPool", "http", "maxConcurrentStreams") for level in levels]
        if not any(map(_is_few, streams)):
            yield rules.ISTIO_STREAMS, streams[0], f"maxConcurrentStreams is {_shown(streams[0])} for {host}"
    if mesh.is_known and ours.policies:
        values = [proxy.at("runtimeValues", PER_CYCLE) for proxy in mesh.proxies]
        if not any(value.number == 1 for value in values):
            place = mesh.configs[0].at("defaultConfig", "runtimeValues")
            yield rules.ISTIO_PER_CYCLE, place, f"{PER_CYCLE} is not set"
    for policy in ours.gateway_policies:
        most = policy.spec.at("extAuth", "grpc", "backendSettings", "http2", "maxConcurrentStreams")
        if policy.spec.at("extAuth", "grpc").is_there and not _is_few(most):
            yield rules.GATEWAY_STREAMS, most, f"{policy.name}: maxConcurrentStreams is {_shown(most)}"
    if ours.gateway_policies:
        bootstraps = [proxy.spec.at("bootstrap") for proxy in objects.kind("EnvoyProxy", ENVOY_GATEWAY)]
        if bootstraps and not any(PER_CYCLE in str(each.value) for each in bootstraps):
            yield rules.GATEWAY_PER_CYCLE, bootstraps[0], f"{PER_CYCLE} is not set"


def _is_few(most: Part) -> bool:
    return most.number is not None and 0 < most.number <= MOST_STREAMS


def _shown(most: Part) -> str:
    return "not set" if most.number is None else str(most.number)
