"""The rig's Envoy configuration: ``envoy/envoy.yaml`` as shipped, and listeners that each differ from it in one way.

The base is read from the shipped file itself, so that what these tests show holds for what operators copy.
"""

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

SHIPPED: Final = Path(__file__).parents[2] / "envoy" / "envoy.yaml"
JWT_AUTHN: Final = SHIPPED.parent / "jwt-authn.yaml"
TRACING: Final = Path(__file__).parents[2] / "docs" / "tracing.md"
FILTER: Final = "envoy.filters.http.ext_authz"
PER_ROUTE: Final = "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute"
UPSTREAM_TLS: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"

CROWDED: Final = "ott-crowded"
"""A cluster whose circuit breaker lets no Check through, in front of the main Check server."""

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Places:
    """What the configuration points at."""

    folder: Path
    upstream: int
    grpc_upstream: int
    checks: Mapping[str, tuple[str, ...]]
    """Cluster name to its Check servers' addresses, ``host:port`` or ``unix:///path``."""
    collector: str = "127.0.0.1:4317"
    over_tls: frozenset[str] = frozenset()
    """Clusters whose Check server wants mTLS."""
    behind: tuple[str, ...] = ()
    """Listeners that another one plays the edge proxy for."""


@dataclass(frozen=True)
class Listener:
    """One listener: how it differs from the shipped one."""

    name: str
    hcm: Tree = field(default_factory=dict)
    authz: Tree = field(default_factory=dict)
    tls: str = "required"
    cluster: str = "ott"
    routes: tuple[Tree, ...] = ()
    pipe: bool = False
    change: Callable[[Tree], None] | None = None
    made: Callable[[Places], Tree] | None = None
    """Makes a listener that has nothing from the shipped one."""


def configuration(places: Places, listeners: tuple[Listener, ...]) -> Tree:
    """Return the whole bootstrap configuration."""
    shipped: Tree = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    resources = shipped["static_resources"]
    base, (check_cluster, service) = resources["listeners"][0], resources["clusters"]
    shipped["admin"]["address"]["socket_address"]["port_value"] = 0
    shipped["layered_runtime"]["layers"].append({"name": "admin", "admin_layer": {}})  # tests turn switches
    resources["listeners"] = [_listener(copy.deepcopy(base), listener, places) for listener in listeners]
    resources["clusters"] = [
        *_check_clusters(check_cluster, places),
        _cluster(service, "service", f"127.0.0.1:{places.upstream}"),
        _http2(_cluster(service, "grpc-service", f"127.0.0.1:{places.grpc_upstream}")),
        *_hop_clusters(service, places),
        _http2(_cluster(service, "otel", places.collector)),
    ]
    return shipped


def hcm_of(listener: Tree) -> Tree:
    """The connection manager of a listener."""
    found: Tree = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return found


def authz_of(listener: Tree) -> Tree:
    """The ext_authz filter of a listener."""
    found: Tree = hcm_of(listener)["http_filters"][0]["typed_config"]
    return found


def jwt_authn() -> tuple[Tree, list[str]]:
    """The filter `jwt_authn` as shipped, and the namespaces that ext_authz hands on with it."""
    tree = yaml.safe_load(JWT_AUTHN.read_text(encoding="utf-8"))
    verifying, asking, _ = hcm_of(tree["static_resources"]["listeners"][0])["http_filters"]
    return verifying, asking["typed_config"]["metadata_context_namespaces"]


def traced(tree: Tree) -> None:
    """Change a listener as the manual's page on traces shows it, but for the share: every call is traced."""
    log, tracing = (
        yaml.safe_load(text)
        for text in re.findall(r"^```yml\n(.*?)^```$", TRACING.read_text(), re.MULTILINE | re.DOTALL)
    )
    hcm = hcm_of(tree)
    ours = hcm["access_log"][0]["typed_config"]["log_format"]["json_format"]
    ours |= log["access_log"][0]["typed_config"]["log_format"]["json_format"]
    hcm["tracing"] = tracing["tracing"] | {"random_sampling": {"value": 100}}


def route(prefix: str, *, per_route: Tree | None = None, cluster: str = "service", **action: object) -> Tree:
    """One route, with its ext_authz settings."""
    made: Tree = {"match": {"prefix": prefix}, "route": {"cluster": cluster, "timeout": "15s", **action}}
    if per_route is not None:
        made["typed_per_filter_config"] = {FILTER: {"@type": PER_ROUTE, **per_route}}
    return made


def named_route(prefix: str, name: str) -> Tree:
    """A route whose policy route is named by Envoy."""
    return route(prefix, per_route={"check_settings": {"context_extensions": {"ott.route": name}}})


def place_listener(tree: Tree, name: str, places: Places, *, tls: str = "required", pipe: bool = False) -> None:
    """Give a listener its name, an address of its own and the rig's certificates."""
    tree["name"] = name
    tree["address"] = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    if pipe:
        tree["address"] = {"pipe": {"path": _pipe(places.folder, name)}}
    _set_tls(tree, tls, places.folder)


def _listener(tree: Tree, wanted: Listener, places: Places) -> Tree:
    if wanted.made is not None:
        return wanted.made(places)
    place_listener(tree, wanted.name, places, tls=wanted.tls, pipe=wanted.pipe)
    hcm, authz = hcm_of(tree), authz_of(tree)
    _log_to_file(hcm, places.folder / "access.log")
    # Two cores carry the tests, Envoy and the servers: the shipped 0.25 s would now and then be the tests' own fault.
    authz["grpc_service"] = {"envoy_grpc": {"cluster_name": wanted.cluster}, "timeout": "5s"}
    hcm.update(copy.deepcopy(wanted.hcm))
    authz.update(copy.deepcopy(wanted.authz))
    routes = hcm["route_config"]["virtual_hosts"][0]["routes"]
    hcm["route_config"]["virtual_hosts"][0]["routes"] = [*copy.deepcopy(list(wanted.routes)), *routes]
    if wanted.change is not None:
        wanted.change(tree)
    return tree


def _set_tls(tree: Tree, mode: str, folder: Path) -> None:
    chain = tree["filter_chains"][0]
    if mode == "none":
        del chain["transport_socket"]
        return
    context = chain["transport_socket"]["typed_config"]
    context["require_client_certificate"] = mode == "required"
    common = context["common_tls_context"]
    common["tls_certificates"] = [_certificate(folder, "server")]
    common["validation_context"]["trusted_ca"]["filename"] = str(folder / "tls" / "ca.pem")


def _certificate(folder: Path, name: str) -> Tree:
    tls = folder / "tls"
    return {
        "certificate_chain": {"filename": str(tls / f"{name}.pem")},
        "private_key": {"filename": str(tls / f"{name}-key.pem")},
    }


def _log_to_file(hcm: Tree, path: Path) -> None:
    log = hcm["access_log"][0]
    log["name"] = "envoy.access_loggers.file"
    settings = log["typed_config"]
    settings["@type"] = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
    settings["path"] = str(path)
    settings["log_format"]["json_format"]["case"] = "%REQ(x-case)%"


def _check_clusters(base: Tree, places: Places) -> Iterator[Tree]:
    for name, addresses in places.checks.items():
        cluster = _cluster(base, name, *addresses)
        if name in places.over_tls:
            cluster["transport_socket"] = _mutual_tls(places.folder)
        if name == "victim":  # stopped and started by tests, which should not wait for health checks
            del cluster["health_checks"]
        yield cluster
        if name == "ott":
            breakers = {"thresholds": [{"max_requests": 0}]}
            yield _cluster(base, CROWDED, *addresses) | {"circuit_breakers": breakers}


def _hop_clusters(base: Tree, places: Places) -> Iterator[Tree]:
    """Clusters through which one listener plays the edge proxy in front of another one."""
    for name in places.behind:
        cluster = _http2(_cluster(base, name, f"unix://{_pipe(places.folder, name)}"))
        cluster["transport_socket"] = _mutual_tls(places.folder)
        yield cluster


def _mutual_tls(folder: Path) -> Tree:
    """What ``envoy.yaml`` shows in its comments for a Check server beyond this host, with the gateway's certificate."""
    names = [{"san_type": "IP_ADDRESS", "matcher": {"exact": "127.0.0.1"}}]
    trusted = {"trusted_ca": {"filename": str(folder / "tls" / "ca.pem")}, "match_typed_subject_alt_names": names}
    common = {"tls_certificates": [_certificate(folder, "gateway")], "validation_context": trusted}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {"@type": UPSTREAM_TLS, "common_tls_context": {**common, "alpn_protocols": ["h2"]}},
    }


def _pipe(folder: Path, name: str) -> str:
    """Where a listener that only another listener talks to has its socket."""
    return str(folder / f"{name}.sock")


def _cluster(base: Tree, name: str, *addresses: str) -> Tree:
    cluster = copy.deepcopy(base)
    cluster["name"] = name
    if any(address.startswith("unix://") for address in addresses):
        cluster["type"] = "STATIC"
    endpoints = [{"endpoint": {"address": _endpoint(address)}} for address in addresses]
    cluster["load_assignment"] = {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]}
    return cluster


def _http2(cluster: Tree) -> Tree:
    cluster["typed_extension_protocol_options"] = {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    }
    return cluster


def _endpoint(address: str) -> Tree:
    return {"pipe": {"path": address.removeprefix("unix://")}} if address.startswith("unix://") else _tcp(address)


def _tcp(address: str) -> Tree:
    host, _, port = address.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}
