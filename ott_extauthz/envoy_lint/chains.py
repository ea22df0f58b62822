"""Through which filters does a request go?  Every HTTP filter chain of an Envoy, and where ours stands in it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ott_extauthz.envoy_lint.configuration import Envoy
from ott_extauthz.envoy_lint.node import Node

HCM: Final = "HttpConnectionManager"
EXT_AUTHZ: Final = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"
_HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_MATCHED: Final = "envoy.extensions.common.matching.v3.ExtensionWithMatcher"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One HTTP filter.  ``config`` is absent where a control plane has it and nothing shows it (``is_unseen``)."""

    name: str
    type: str
    config: Node
    entry: Node
    matcher: Node
    is_unseen: bool = False

    @property
    def is_grpc_check(self) -> bool:
        """Whether this is ext_authz over gRPC, our kind."""
        return self.type == EXT_AUTHZ and self.config["grpc_service"].is_there

    @property
    def check_cluster(self) -> str:
        """The cluster that is asked; empty for google_grpc."""
        return self.config.at("grpc_service", "envoy_grpc", "cluster_name").text


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A connection manager of a listener, with its filters in their order and its route configurations."""

    envoy: Envoy
    listener: Node
    sockets: Node
    hcm: Node
    place: Node
    """The connection manager, or what stands in it with filters of its own."""
    filters: tuple[Filter, ...]
    routes: tuple[Node, ...]
    unseen_routes: tuple[Node, ...] = ()

    @property
    def is_internal(self) -> bool:
        """Whether only this Envoy's own listeners reach it."""
        return self.listener["internal_listener"].is_there

    def guards(self, cluster: str | None) -> list[Filter]:
        """Return the filters that ask us: those over gRPC, or those that ask ``cluster``."""
        return [each for each in self.filters if each.is_grpc_check and cluster in (None, each.check_cluster)]


def chains_of(envoy: Envoy) -> Iterator[Chain]:
    """Yield every HTTP filter chain."""
    for listener in envoy.listeners:
        for top in tops_of(listener):
            for network_filter in top["filters"]:
                yield from _chains(envoy, listener, top, network_config(envoy, network_filter))
        yield from _chains(envoy, listener, listener["api_listener"], listener.at("api_listener", "api_listener"))


def network_config(envoy: Envoy, network_filter: Node) -> Node:
    """Return the configuration of a network filter, from wherever it comes."""
    discovery = network_filter["config_discovery"]
    if not discovery.is_there:
        return network_filter["typed_config"]
    found = envoy.extensions.get(network_filter["name"].text)
    return discovery["default_config"] if found is None else found.typed[1]["typed_config"]


def tops_of(listener: Node) -> Iterator[Node]:
    """Yield the filter chains of a listener."""
    yield from (*listener["filter_chains"], listener["default_filter_chain"])


def _chains(envoy: Envoy, listener: Node, sockets: Node, config: Node) -> Iterator[Chain]:
    kind, hcm = config.typed
    if not kind.endswith(HCM):
        return
    routes, unseen = _routes(envoy, hcm)
    upgrades = [each for each in hcm["upgrade_configs"] if each["filters"].value]
    for place, entries in ((hcm, hcm["http_filters"]), *((each, each["filters"]) for each in upgrades)):
        yield Chain(
            envoy=envoy,
            listener=listener,
            sockets=sockets,
            hcm=hcm,
            place=place,
            filters=tuple(filters_in(envoy, entries)),
            routes=tuple(routes),
            unseen_routes=tuple(unseen),
        )


def filters_in(envoy: Envoy, entries: Iterable[Node]) -> Iterator[Filter]:
    """Yield the HTTP filters of a list."""
    return (_filter(envoy, entry) for entry in entries)


def http_options(cluster: Node) -> Node:
    """Return what a cluster says of HTTP."""
    return cluster.at("typed_extension_protocol_options", _HTTP_OPTIONS)


def _filter(envoy: Envoy, entry: Node) -> Filter:
    name = entry["name"].text
    config, is_unseen = entry["typed_config"], False
    discovery = entry["config_discovery"]
    if discovery.is_there:
        found = envoy.extensions.get(name)
        is_unseen = found is None and not discovery["default_config"].is_there
        config = discovery["default_config"] if found is None else found.typed[1]["typed_config"]
    kind, config = config.typed
    matcher = entry["matcher"]
    if kind == _MATCHED:
        matcher = next((node for key in ("xds_matcher", "matcher") if (node := config[key]).is_there), matcher)
        kind, config = config.at("extension_config", "typed_config").typed
    if is_unseen:
        kind = next((each.text.rpartition("/")[2] for each in discovery["type_urls"]), "")
    return Filter(name=name, type=kind, config=config, entry=entry, matcher=matcher, is_unseen=is_unseen)


def _routes(envoy: Envoy, hcm: Node) -> tuple[list[Node], list[Node]]:
    """Return the route configurations, and the places that name one which is not shown."""
    if hcm["route_config"].is_there:
        return [hcm["route_config"]], []
    wanted = hcm["rds"]["route_config_name"]
    if wanted.is_there:
        return _looked_up(envoy, [wanted])
    scoped = hcm["scoped_routes"]
    if not scoped.is_there:
        return [], []
    scopes: Sequence[Node] = [
        *scoped.at("scoped_route_configurations_list", "scoped_route_configurations"),
        *envoy.scopes.get(scoped["name"].text, envoy.scopes.get("", ())),
    ]
    inline = [scope["route_configuration"] for scope in scopes if scope["route_configuration"].is_there]
    found, unseen = _looked_up(envoy, [scope["route_configuration_name"] for scope in scopes])
    return [*inline, *found], unseen if scopes else [scoped]


def _looked_up(envoy: Envoy, names: Sequence[Node]) -> tuple[list[Node], list[Node]]:
    named = [name for name in names if name.text]
    found = [envoy.route_configurations[name.text] for name in named if name.text in envoy.route_configurations]
    return found, [name for name in named if name.text not in envoy.route_configurations]
