"""Which of these objects are about our server?

Our Services carry the chart's labels, or its name in theirs.  A provider or a policy is ours if it names one of them,
if its own name says ``ott``, or if there is no other that could be.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from ott_extauthz.envoy_lint.kubernetes.mesh import Mesh
from ott_extauthz.envoy_lint.kubernetes.objects import ENVOY_GATEWAY, ISTIO_SECURITY, Object, Objects, selects
from ott_extauthz.envoy_lint.kubernetes.part import Part

CHART: Final = "ott-extauthz"
CHECK_PORT: Final = 9001
_GATEWAY_LABEL: Final = "gateway.networking.k8s.io/gateway-name"
_MENTION: Final = re.compile(r"(?<![a-z0-9])ott(?![a-z0-9])")
_SERVICE_KINDS: Final = ("envoyExtAuthzGrpc", "envoyExtAuthzHttp")
_P = TypeVar("_P", bound=Part)


@dataclass(frozen=True, slots=True)
class Ours:
    """Our server's Services, the mesh's providers that name it, and the policies that ask it."""

    services: tuple[Object, ...]
    providers: tuple[Part, ...]
    policies: tuple[Object, ...]
    """Istio's AuthorizationPolicies."""
    gateway_policies: tuple[Object, ...]
    """Envoy Gateway's SecurityPolicies."""

    def workloads(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Yield the namespace and the labels of the server's own pods."""
        for service in self.services:
            labels = service.spec.at("selector").labels
            if labels:
                yield service.namespace, labels


def ours_among(objects: Objects, mesh: Mesh) -> Ours:
    """Return what is about our server."""
    services = tuple(one for one in objects.kind("Service") if _is_our_service(one))
    asking = (one for one in mesh.providers() if any(one.at(kind).is_there for kind in _SERVICE_KINDS))
    providers = tuple(_chosen(asking, lambda one: _named(one, services)))
    names = {provider.at("name").text for provider in providers}
    custom = [
        one for one in objects.kind("AuthorizationPolicy", ISTIO_SECURITY) if one.spec.at("action").text == "CUSTOM"
    ]
    asked = {one.spec.at("provider", "name").text for one in custom}
    policies = tuple(
        one
        for one in custom
        if (name := one.spec.at("provider", "name").text) in names or _MENTION.search(name) or len(asked) == 1
    )
    security = [one for one in objects.kind("SecurityPolicy", ENVOY_GATEWAY) if one.spec.at("extAuth").is_there]
    return Ours(services, providers, policies, tuple(_chosen(security, lambda one: _asks(one, services))))


def selected_by(policy: Object, mesh: Mesh, workloads: Iterable[tuple[str, Mapping[str, str]]]) -> bool:
    """Return whether an Istio policy surely means one of these workloads."""
    if policy.spec.at("targetRefs").is_there or policy.spec.at("targetRef").is_there:
        return False
    selector = policy.spec.at("selector", "matchLabels").labels
    return any(
        policy.namespace in (namespace, mesh.root_namespace) and selects(selector, labels)
        for namespace, labels in workloads
    )


def is_at_a_gateway(policy: Object) -> bool:
    """Return whether an Istio policy stands at a gateway.

    A waypoint is named by targetRefs, as a gateway is, and stands behind whatever is in front of it.
    """
    labels = policy.spec.at("selector", "matchLabels").labels
    return labels.get("istio", "").endswith("ingressgateway") or _GATEWAY_LABEL in labels


def refers(host: str, services: Iterable[Object]) -> bool:
    """Return whether a host, with or without a namespace before a slash, is that of a Service."""
    name = host.rpartition("/")[2]
    return any(name == one.name or name.startswith(f"{one.name}.") for one in services if one.name)


def backends(security: Object) -> Iterator[Part]:
    """Yield what a SecurityPolicy asks."""
    for way in ("grpc", "http"):
        service = security.spec.at("extAuth", way)
        yield from service.at("backendRefs")
        if service.at("backendRef").is_there:
            yield service.at("backendRef")


def _is_our_service(one: Object) -> bool:
    labels = one.at("metadata", "labels").labels
    if "ott-extauthz/metrics" in labels or labels.get("app.kubernetes.io/component") == "issuer":
        return False
    by_label = labels.get("app.kubernetes.io/name") == CHART or labels.get("helm.sh/chart", "").startswith(f"{CHART}-")
    return by_label or (CHART in one.name and not one.name.endswith(("-issuer", "-metrics")))


def mentions_us(text: str, services: Iterable[Object]) -> bool:
    """Return whether a name is one of ours: it says so itself, or has a Service's name in it."""
    return bool(_MENTION.search(text)) or any(one.name in text for one in services if one.name)


def _named(provider: Part, services: Iterable[Object]) -> bool:
    hosts = [provider.at(kind, "service").text for kind in _SERVICE_KINDS]
    return any(refers(host, services) for host in hosts if host) or any(
        _MENTION.search(text) for text in (provider.at("name").text, *hosts)
    )


def _asks(security: Object, services: Iterable[Object]) -> bool:
    names = [backend.at("name").text for backend in backends(security)]
    return any(refers(name, services) or _MENTION.search(name) for name in names)


def _chosen(found: Iterable[_P], is_ours: Callable[[_P], bool]) -> list[_P]:
    every = list(found)
    return [one for one in every if is_ours(one)] or every[: len(every) == 1]
