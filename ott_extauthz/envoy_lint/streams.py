"""What goes through without a look at HTTP?  Bytes that a listener hands on, and network filters that nothing shows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ott_extauthz.envoy_lint.chains import network_config, tops_of
from ott_extauthz.envoy_lint.configuration import Envoy
from ott_extauthz.envoy_lint.node import Node

_TCP: Final = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
_BY_NAME: Final = (
    "envoy.extensions.filters.network.sni_cluster.",
    "envoy.extensions.filters.network.sni_dynamic_forward_proxy.",
)
"""The name in the TLS handshake, which the client writes, is the cluster, or the host."""
_NETWORK_CHECK: Final = "envoy.extensions.filters.network.ext_authz."


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Bytes that a listener hands on as they are: whoever speaks HTTP in them is asked nothing."""

    listener: Node
    place: Node
    clusters: tuple[str, ...]
    is_chosen_by_client: bool = False


def streams_of(envoy: Envoy) -> Iterator[Stream]:
    """Yield what is forwarded without a look at HTTP; where ext_authz guards the connection itself, nothing."""
    for listener in envoy.listeners:
        for top in tops_of(listener):
            typed = [network_config(envoy, each).typed for each in top["filters"]]
            if any(kind.startswith(_NETWORK_CHECK) for kind, _ in typed):
                continue
            for kind, config in typed:
                if kind == _TCP:
                    weighted = [each["name"].text for each in config.at("weighted_clusters", "clusters")]
                    clusters = tuple(filter(None, (config["cluster"].text, *weighted)))
                    is_chosen = any(each.startswith(_BY_NAME) for each, _ in typed)
                    yield Stream(listener=listener, place=config, clusters=clusters, is_chosen_by_client=is_chosen)


def unseen_network_filters(envoy: Envoy) -> Iterator[Node]:
    """Yield the network filters that a control plane has and nothing shows: any of them may forward."""
    for listener in envoy.listeners:
        for top in tops_of(listener):
            for each in top["filters"]:
                if each["config_discovery"].is_there and not network_config(envoy, each).is_there:
                    yield each
