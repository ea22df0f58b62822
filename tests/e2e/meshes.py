"""Listeners as Istio and Envoy Gateway make them: plain, and patched by what the chart renders."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from tests.chart.rendering import CHART, objects
from tests.e2e.gateway import Listener, Places, Tree, hcm_of, place_listener
from tests.e2e.patching import with_envoy_filter, with_envoy_patch_policy

SHAPES: Final = Path(__file__).parent / "mesh_shapes"
MESH: Final = "mesh"
"""The Check server that knows one gateway before its sidecars, and no trust domains."""
NOBODY: Final = "nobody"
"""A cluster behind which no server is."""
_SIDECAR: Final = {"name": "wallet", "namespace": "payments", "kind": "sidecar", "selector": {"app": "wallet"}}


def shape(name: str) -> Tree:
    """Return one of the listeners in ``mesh_shapes/``, as its control plane makes it."""
    tree: Tree = yaml.safe_load((SHAPES / f"{name}.yaml").read_text(encoding="utf-8"))
    return tree


def patched(name: str) -> Tree:
    """Return the same with the chart's patch applied."""
    tree = shape(name)
    if name == "envoy-gateway":
        with_envoy_patch_policy(tree, rendered("EnvoyPatchPolicy", "envoy-gateway-values"))
    elif name == "istio-gateway":
        with_envoy_filter(tree, rendered("EnvoyFilter", "istio-gateway-values"), "GATEWAY")
    else:
        with_envoy_filter(tree, rendered("EnvoyFilter"), "SIDECAR_INBOUND")
    return tree


@cache
def rendered(kind: str, value_set: str | None = None) -> Any:
    """Return the first object of a kind that the chart makes, of a value set or for one sidecar."""
    values: dict[str, Any] = {
        "istio": {"enabled": True, "renderMode": "alwaysRender", "patch": {"enabled": True}, "targets": [_SIDECAR]}
    }
    if value_set is not None:
        values = yaml.safe_load((CHART / "ci" / f"{value_set}.yaml").read_text(encoding="utf-8"))
    return next(made for made in objects(values) if made["kind"] == kind)


def _asking(name: str, read: Callable[[str], Tree], of: str, cluster: str, *, pipe: bool = False) -> Listener:
    return Listener(name, made=lambda places: _placed(name, read(of), cluster, places, pipe=pipe))


def _placed(name: str, tree: Tree, cluster: str, places: Places, *, pipe: bool) -> Tree:
    """Point a listener at the rig's certificates, Check server and upstream; the timeout is the rig's as well."""
    place_listener(tree, name, places, pipe=pipe)
    for settings in _grpc_services(tree):
        settings["envoy_grpc"]["cluster_name"] = cluster
        settings["timeout"] = "5s"
    for host in hcm_of(tree)["route_config"]["virtual_hosts"]:
        for route in host["routes"]:
            route["route"]["cluster"] = "service"
    return tree


def _grpc_services(tree: object) -> Iterator[Tree]:
    if isinstance(tree, dict):
        if "grpc_service" in tree:
            yield tree["grpc_service"]
        for value in tree.values():
            yield from _grpc_services(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _grpc_services(value)


def _in_front(name: str, cluster: str) -> Listener:
    """An Istio gateway without a policy, before a workload that has one."""

    def made(places: Places) -> Tree:
        tree = _placed(name, shape("istio-gateway"), NOBODY, places, pipe=False)
        hcm = hcm_of(tree)
        hcm["http_filters"] = [one for one in hcm["http_filters"] if one["name"].endswith(".router")]
        hcm["route_config"]["virtual_hosts"][0]["routes"][0]["route"]["cluster"] = cluster
        return tree

    return Listener(name, made=made)


def _all() -> Iterator[Listener]:
    for name in ("istio-gateway", "istio-sidecar", "envoy-gateway"):
        yield _asking(name, shape, name, "xfcc")  # judged by XFCC alone
        yield _asking(f"{name}-patched", patched, name, "ott")  # ... and by the connection's certificate
        yield _asking(f"{name}-down", shape, name, NOBODY)
        yield _asking(f"{name}-patched-down", patched, name, NOBODY)
    for kind, read in (("plain", shape), ("patched", patched)):
        yield _in_front(f"istio-edge-{kind}", f"istio-behind-{kind}")
        yield _asking(f"istio-behind-{kind}", read, "istio-sidecar", MESH, pipe=True)
    yield _asking("istio-workload", shape, "istio-sidecar", "ott")
    yield _asking("istio-direct", shape, "istio-sidecar", MESH)


MESHES: Final = tuple(_all())
BEHIND: Final = ("istio-behind-plain", "istio-behind-patched")
"""Listeners that another one talks to."""
