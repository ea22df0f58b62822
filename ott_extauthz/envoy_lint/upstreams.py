"""Where does a cluster lead, whatever it is called?  Its names, and the addresses behind them."""

from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.configuration import Envoy
from ott_extauthz.envoy_lint.node import Node

_AGGREGATE: Final = "envoy.extensions.clusters.aggregate.v3.ClusterConfig"
_FORWARD_PROXY: Final = "envoy.extensions.clusters.dynamic_forward_proxy."


def names_of(envoy: Envoy, name: str) -> frozenset[str]:
    """Return a cluster's name, and those of the clusters that it is made of."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one and one not in found:
            found.add(one)
            waiting += _parts(envoy, one)
    return frozenset(found)


def addresses_of(envoy: Envoy, name: str) -> frozenset[tuple[str, float | None]]:
    """Return the addresses of the endpoints that are shown; a Unix socket is a path without a port."""
    return frozenset(found for one in names_of(envoy, name) for end in ends_of(envoy, one) for found in _address(end))


def is_chosen_by_request(envoy: Envoy, name: str) -> bool:
    """Whether a cluster goes where the request says: to its host, or to the address in a header."""
    cluster = envoy.clusters.get(name)
    if cluster is None:
        return False
    kind, _ = cluster.at("cluster_type", "typed_config").typed
    return kind.startswith(_FORWARD_PROXY) or cluster.at("original_dst_lb_config", "use_http_header").truth


def ends_of(envoy: Envoy, name: str) -> Iterator[Node]:
    """Yield the addresses of a cluster's endpoints: what a control plane sent, or what stands in the cluster."""
    cluster = envoy.clusters.get(name)
    assigned = envoy.endpoints.get(name) if cluster is None else envoy.endpoints.get(name, cluster["load_assignment"])
    if assigned is not None:
        for group in assigned["endpoints"]:
            yield from (end.at("endpoint", "address") for end in group["lb_endpoints"])


def _parts(envoy: Envoy, name: str) -> Iterator[str]:
    cluster = envoy.clusters.get(name)
    kind, config = ("", None) if cluster is None else cluster.at("cluster_type", "typed_config").typed
    if config is not None and kind == _AGGREGATE:
        yield from (each.text for each in config["clusters"])


def _address(address: Node) -> Iterator[tuple[str, float | None]]:
    socket, pipe = address["socket_address"], address.at("pipe", "path").text
    if socket["address"].text:
        yield socket["address"].text, socket["port_value"].number
    if pipe:
        yield pipe, None
