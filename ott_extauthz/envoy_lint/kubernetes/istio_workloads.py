"""Who may connect, and how?  PeerAuthentication of the protected and of our workload, and how proxies reach ours."""

from collections.abc import Iterator, Mapping
from typing import Final

from ott_extauthz.envoy_lint.finding import Finding
from ott_extauthz.envoy_lint.kubernetes.catalogue import workloads as rules
from ott_extauthz.envoy_lint.kubernetes.mesh import Mesh
from ott_extauthz.envoy_lint.kubernetes.objects import ISTIO_NETWORKING, ISTIO_SECURITY, Object, Objects, selects
from ott_extauthz.envoy_lint.kubernetes.ours import CHECK_PORT, Ours, refers
from ott_extauthz.envoy_lint.kubernetes.part import Part

ENOUGH_REQUESTS: Final = 1024
_WEAK: Final = frozenset({"PERMISSIVE", "DISABLE"})
_HTTP2: Final = ("grpc", "http2")
_HTTP2_PROTOCOLS: Final = frozenset({"grpc", "http2", "kubernetes.io/h2c"})
_OWN_TLS: Final = frozenset({"https", "tls"})
"""The server speaks TLS itself: Istio passes the bytes on, and what is in them is not its to know."""


_INJECT: Final = "sidecar.istio.io/inject"
_EXCLUDED: Final = "traffic.sidecar.istio.io/excludeInboundPorts"
_PROXY: Final = "istio-proxy"


def found_in_workloads(objects: Objects, mesh: Mesh, ours: Ours) -> Iterator[Finding]:
    """Yield what is wrong with the connections to what is protected, and to our server."""
    for policy in ours.policies:
        labels = policy.spec.at("selector", "matchLabels").labels
        if labels or policy.namespace != mesh.root_namespace:
            mode = _effective(objects, mesh, policy.namespace, labels, None)
            if mode is not None and mode.text in _WEAK:
                yield mode.finding(rules.NOT_STRICT, f"{mode.text} where {policy.name} protects")
            yield from _left_out(objects, policy, labels)
    for service in ours.services:
        mode = _effective(
            objects, mesh, service.namespace, service.spec.at("selector").labels, _container_port(service)
        )
        if mode is not None and mode.text in _WEAK:
            yield mode.finding(rules.CHECK_NOT_STRICT, f"{mode.text} for {service.name}")
        yield from _port(service)
    yield from _destinations(objects, ours)


def _left_out(objects: Objects, policy: Object, labels: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what keeps calls to a protected workload away from its proxy; a gateway's pod is a proxy itself."""
    templates = (one.at("spec", "template") for one in objects.every if one.namespace == policy.namespace)
    for pod in templates:
        told = pod.at("metadata")
        if not told.is_there or not selects(labels, told.at("labels").labels):
            continue
        if told.at("annotations", _EXCLUDED).text:
            yield told.at("annotations", _EXCLUDED).finding(rules.PROXY_LEFT_OUT, f"ports that {policy.name} protects")
        if any(each.at("name").text == _PROXY for each in pod.at("spec", "containers")):
            continue
        for place in ("labels", "annotations"):
            if told.at(place, _INJECT).text == "false":
                yield told.at(place, _INJECT).finding(rules.PROXY_LEFT_OUT, f"no proxy where {policy.name} protects")


def _effective(
    objects: Objects, mesh: Mesh, namespace: str, labels: Mapping[str, str], port: int | None
) -> Part | None:
    """Return the mode that counts: the workload's own before the namespace's before the mesh's; None if unknown."""
    own: list[Object] = []
    wide: list[Object] = []
    root: list[Object] = []
    for one in objects.kind("PeerAuthentication", ISTIO_SECURITY):
        selector = one.spec.at("selector", "matchLabels").labels
        if selector:
            own += [one] if one.namespace == namespace and selects(selector, labels) else []
        elif one.namespace == namespace:
            wide.append(one)
        elif one.namespace == mesh.root_namespace:
            root.append(one)
    for one in (*own, *wide, *root):
        by_port = one.spec.at("portLevelMtls", str(port), "mode") if port and one in own else None
        mode = by_port if by_port is not None and by_port.text else one.spec.at("mtls", "mode")
        if mode.text not in ("", "UNSET"):
            return mode
    return None


def _check_ports(service: Object) -> list[Part]:
    ports = list(service.spec.at("ports"))
    named = [port for port in ports if port.at("port").number == CHECK_PORT or "check" in port.at("name").text]
    return named or ports[: len(ports) == 1]


def _container_port(service: Object) -> int | None:
    for port in _check_ports(service):
        return port.at("targetPort").number or port.at("port").number
    return None


def _port(service: Object) -> Iterator[Finding]:
    for port in _check_ports(service):
        name, protocol = port.at("name").text, port.at("appProtocol").text
        if protocol in _OWN_TLS:
            continue
        says_so = protocol in _HTTP2_PROTOCOLS if protocol else name.partition("-")[0] in _HTTP2
        if not says_so:
            yield port.finding(rules.PORT_PROTOCOL, f"port {port.at('port').value} is named {name or 'nothing'}")


def ways_to_us(objects: Objects, ours: Ours) -> Iterator[tuple[str, Part]]:
    """Yield the hosts and traffic policies of the DestinationRules for our server."""
    hosts = [provider.at("envoyExtAuthzGrpc", "service").text.rpartition("/")[2] for provider in ours.providers]
    for one in objects.kind("DestinationRule", ISTIO_NETWORKING):
        host = one.spec.at("host").text
        if host and (refers(host, ours.services) or host in hosts):
            yield host, one.spec.at("trafficPolicy")


def _destinations(objects: Objects, ours: Ours) -> Iterator[Finding]:
    for host, traffic in ways_to_us(objects, ours):
        if traffic.at("tls", "mode").text == "DISABLE":
            yield traffic.at("tls", "mode").finding(rules.CHECK_PLAIN, f"tls.mode is DISABLE for {host}")
        ejection = traffic.at("outlierDetection")
        if ejection.is_there and not _leaves_answers_alone(ejection):
            yield ejection.finding(rules.CHECK_EJECTED, f"outlierDetection for {host}")
        yield from _limits(traffic.at("connectionPool", "http"), host)


def _leaves_answers_alone(ejection: Part) -> bool:
    # Where consecutive5xxErrors is absent Istio counts five of them.
    answers, gateway = ejection.at("consecutive5xxErrors"), ejection.at("consecutiveGatewayErrors")
    return (
        ejection.at("splitExternalLocalOriginErrors").is_true
        and answers.number == 0
        and (gateway.number == 0 or not gateway.is_there)
    )


def _limits(pool: Part, host: str) -> Iterator[Finding]:
    requests, each = pool.at("http2MaxRequests"), pool.at("maxRequestsPerConnection")
    if requests.number and requests.number < ENOUGH_REQUESTS:
        yield requests.finding(rules.CHECK_LIMITED, f"http2MaxRequests is {requests.number} for {host}")
    if each.number and each.number < ENOUGH_REQUESTS:
        yield each.finding(rules.CHECK_LIMITED, f"maxRequestsPerConnection is {each.number} for {host}")
