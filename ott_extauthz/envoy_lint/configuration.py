"""What does one Envoy run?  Its listeners, clusters, routes, filters, out of a bootstrap, a dump or resource files.

- A dump (``/config_dump``) shows what is in force; of what is being replaced, the part that still serves.
- A bootstrap shows what is static.  Resource files (``resources:``, as path_config_source reads them) belong to the one
  bootstrap beside them, or stand for an Envoy of their own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ott_extauthz.envoy_lint.document import Document
from ott_extauthz.envoy_lint.node import Node

_BOOTSTRAP_KEYS: Final = ("static_resources", "dynamic_resources", "admin", "bootstrap_extensions", "node")
_LISTENER: Final = "envoy.config.listener.v3.Listener"
_CLUSTER: Final = "envoy.config.cluster.v3.Cluster"
_ROUTES: Final = "envoy.config.route.v3.RouteConfiguration"
_SCOPED: Final = "envoy.config.route.v3.ScopedRouteConfiguration"
_EXTENSION: Final = "envoy.config.core.v3.TypedExtensionConfig"
_ENDPOINTS: Final = "envoy.config.endpoint.v3.ClusterLoadAssignment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envoy:
    """The parts of one Envoy; ``bootstrap`` is absent where only resources were given."""

    bootstrap: Node
    listeners: tuple[Node, ...] = ()
    clusters: Mapping[str, Node] = field(default_factory=dict)
    route_configurations: Mapping[str, Node] = field(default_factory=dict)
    scopes: Mapping[str, tuple[Node, ...]] = field(default_factory=dict)
    extensions: Mapping[str, Node] = field(default_factory=dict)
    endpoints: Mapping[str, Node] = field(default_factory=dict)
    is_dump: bool = False
    """Whether it shows what control planes sent."""

    @property
    def version(self) -> str:
        """What the node says of its build, like ``1.40.0``; empty where it says nothing."""
        version = self.bootstrap.at("node", "user_agent_build_version", "version")
        if version["major_number"].number is None:
            return self.bootstrap.at("node", "user_agent_version").text
        return ".".join(str(int(version[part].number or 0)) for part in ("major_number", "minor_number", "patch"))

    def runtime(self, key: str) -> Node | None:
        """Return what the last static layer that has this key says; what files and the admin port say is not here."""
        layers = [layer["static_layer"] for layer in self.bootstrap.at("layered_runtime", "layers")]
        found = [value for layer in layers for value in _under(layer, key)] if key else []
        return found[-1] if found else None


def _under(layer: Node, key: str) -> Iterator[Node]:
    """Yield the values of a key, which may be spelled with dots or nested at any of them."""
    for name, node in layer.entries:
        if name == key:
            yield node
        elif key.startswith(f"{name}."):
            yield from _under(node, key[len(name) + 1 :])


def root(document: Document) -> Node:
    """Return the whole of a document."""
    return Node(document, (), document.tree)


def is_envoys(document: Document) -> bool:
    """Whether this is a dump, a bootstrap, or a file of resources."""
    node = root(document)
    return _is_dump(node) or _is_resources(node) or any(node[key].is_there for key in _BOOTSTRAP_KEYS)


def envoys_in(documents: Sequence[Document]) -> Iterator[Envoy]:
    """Yield the Envoys that these documents configure."""
    nodes = [root(document) for document in documents if is_envoys(document)]
    pooled = [resource for node in nodes if _is_resources(node) for resource in node["resources"]]
    bootstraps = [node for node in nodes if not _is_dump(node) and not _is_resources(node)]
    for node in nodes:
        if _is_dump(node):
            yield _dumped(node)
    if len(bootstraps) == 1:
        yield _of_resources(bootstraps[0], [*_static(bootstraps[0]), *pooled])
        return
    for node in bootstraps:
        yield _of_resources(node, list(_static(node)))
    if any(_kind(resource) in (_LISTENER, _CLUSTER, _ROUTES, _SCOPED) for resource in pooled):
        yield _of_resources(Node(pooled[0].document, (), None), pooled)


def _is_dump(node: Node) -> bool:
    return isinstance(node["configs"].value, list)


def _is_resources(node: Node) -> bool:
    return isinstance(node["resources"].value, list)


def _kind(node: Node) -> str:
    return node.typed[0]


def _static(bootstrap: Node) -> Iterator[Node]:
    for key in ("listeners", "clusters"):
        yield from bootstrap.at("static_resources", key)


def _of_resources(bootstrap: Node, resources: Sequence[Node]) -> Envoy:
    """A static resource has no type of its own: where it stands says what it is."""
    found: dict[str, list[Node]] = {}
    for node in resources:
        kind = {"listeners": _LISTENER, "clusters": _CLUSTER}.get(str(node.path[-2]) if len(node.path) > 1 else "")
        found.setdefault(kind or _kind(node), []).append(node)
    return Envoy(
        bootstrap=bootstrap,
        listeners=tuple(found.get(_LISTENER, ())),
        clusters=_named(found.get(_CLUSTER, ())),
        route_configurations=_named(found.get(_ROUTES, ())),
        scopes=_scopes(found.get(_SCOPED, ())),
        extensions=_named(found.get(_EXTENSION, ())),
        endpoints=_named(found.get(_ENDPOINTS, ()), "cluster_name"),
    )


def _dumped(dump: Node) -> Envoy:
    parts: dict[str, list[Node]] = {}
    for part in dump["configs"]:
        parts.setdefault(_kind(part).rpartition(".")[2], []).append(part)
    absent = Node(dump.document, (), None)
    bootstrap = next((part["bootstrap"] for part in parts.get("BootstrapConfigDump", ())), absent)
    static = bootstrap["static_resources"]
    clusters = _entries(parts, "ClustersConfigDump", "cluster", "static_clusters", "dynamic_active_clusters")
    routes = _entries(parts, "RoutesConfigDump", "route_config", "static_route_configs", "dynamic_route_configs")
    ends = ("static_endpoint_configs", "dynamic_endpoint_configs")
    return Envoy(
        bootstrap=bootstrap,
        listeners=tuple(_listeners(parts.get("ListenersConfigDump", []))) or tuple(static["listeners"]),
        clusters=_named(clusters or list(static["clusters"])),
        route_configurations=_named(routes),
        scopes=_dumped_scopes(parts.get("ScopedRoutesConfigDump", [])),
        extensions=_named(_entries(parts, "EcdsConfigDump", "ecds_filter", "ecds_filters")),
        endpoints=_named(_entries(parts, "EndpointsConfigDump", "endpoint_config", *ends), "cluster_name"),
        is_dump=True,
    )


def _dumped_scopes(parts: Sequence[Node]) -> dict[str, tuple[Node, ...]]:
    keys = ("inline_scoped_route_configs", "dynamic_scoped_route_configs")
    entries = [entry for part in parts for key in keys for entry in part[key]]
    return {entry["name"].text: tuple(entry["scoped_route_configs"]) for entry in entries}


def _listeners(parts: Sequence[Node]) -> Iterator[Node]:
    for part in parts:
        yield from (entry["listener"] for entry in part["static_listeners"])
        for entry in part["dynamic_listeners"]:
            states = [entry.at(state, "listener") for state in ("active_state", "warming_state", "draining_state")]
            yield from [state for state in states if state.is_there][:1]


def _entries(parts: Mapping[str, list[Node]], kind: str, inner: str, *keys: str) -> list[Node]:
    return [entry[inner] for part in parts.get(kind, ()) for key in keys for entry in part[key]]


def _named(nodes: Sequence[Node], key: str = "name") -> dict[str, Node]:
    return {node.typed[1][key].text or node[key].text: node for node in nodes}


def _scopes(nodes: Sequence[Node]) -> dict[str, tuple[Node, ...]]:
    # In files nothing says which scope belongs to which connection manager: each may be any's.
    return {"": tuple(nodes)} if nodes else {}
