"""The two Envoys of the attaching rig: the shipped configurations, and listeners that each differ in one way."""

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from ott_extauthz.demo.ports import free_ports
from tests.e2e.gateway import SHIPPED, Listener, Places, Tree, authz_of, configuration, hcm_of
from tests.e2e.servers import Server, answers, fetched, wait_until

if TYPE_CHECKING:
    from tests.e2e.attach_rig import AttachRig

ATTACH = SHIPPED.with_name("attach.yaml")
RETRIES = SHIPPED.with_name("attach-retries.yaml")
WORKLOAD_SDS = SHIPPED.with_name("workload-sds.yaml")


def attach_configuration(rig: "AttachRig") -> Tree:
    """``attach-retries.yaml`` as shipped, beside ``attach.yaml``'s listener and some that each differ in one way."""
    shipped: Tree = yaml.safe_load(RETRIES.read_text(encoding="utf-8"))
    resources = shipped["static_resources"]
    single: Tree = yaml.safe_load(ATTACH.read_text(encoding="utf-8"))["static_resources"]["listeners"][0]
    first, second = resources["listeners"]
    first["name"] = "retries"
    resources["listeners"] = [first, second, *_singles(single)]
    for listener in resources["listeners"]:
        if "address" in listener:
            listener["address"]["socket_address"]["port_value"] = 0
        if listener["name"] != "retries":
            _adapt(listener, rig.folder)
    inside, check, service = resources["clusters"]
    checks = [_check_cluster(check, name, cluster, rig.folder) for name, cluster in _CHECK_CLUSTERS.items()]
    resources["clusters"] = [inside, *checks, *_services(service, rig)]
    shipped["admin"]["address"]["socket_address"]["port_value"] = 0
    return shipped


def _singles(single: Tree) -> Iterator[Tree]:
    for name, change in _CHANGES.items():
        listener = copy.deepcopy(single)
        listener["name"] = name
        change(listener)
        yield listener


def _route(listener: Tree) -> Tree:
    found: Tree = hcm_of(listener)["route_config"]["virtual_hosts"][0]["routes"][0]["route"]
    return found


def _naive(listener: Tree) -> None:
    _route(listener)["retry_policy"] = {"retry_on": "5xx", "num_retries": 2}


def _without_direction(listener: Tree) -> None:
    del hcm_of(listener)["route_config"]["typed_per_filter_config"]


def _half_away(listener: Tree) -> None:
    route = _route(listener)
    route["cluster"] = "half-away"
    route["retry_policy"] |= {
        "num_retries": 4,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
        "host_selection_retry_max_attempts": 5,
    }


def _workload(listener: Tree) -> None:
    authz_of(listener)["grpc_service"]["envoy_grpc"]["cluster_name"] = "ott-w"


def _issued(listener: Tree) -> None:
    authz_of(listener)["grpc_service"]["envoy_grpc"]["cluster_name"] = "ott-g"


def _issued_workload(listener: Tree) -> None:
    authz_of(listener)["grpc_service"]["envoy_grpc"]["cluster_name"] = "ott-h"


def _signed(listener: Tree) -> None:
    authz_of(listener)["grpc_service"]["envoy_grpc"]["cluster_name"] = "ott-s"


def _signed_naive(listener: Tree) -> None:
    _signed(listener)
    _naive(listener)


def _one_pool(listener: Tree) -> None:
    filters = hcm_of(listener)["http_filters"]
    _route(listener)["cluster"] = "one-pool"  # connections of its own, opened with the certificate of the moment
    filters[:] = [one for one in filters if one["name"] != "envoy.filters.http.set_filter_state"]


def _bare(listener: Tree) -> None:
    """Take out what attaches or checks."""
    hcm = hcm_of(listener)
    hcm["http_filters"] = hcm["http_filters"][-1:]
    hcm["route_config"].pop("typed_per_filter_config", None)


def _bare_to_bare(listener: Tree) -> None:
    _route(listener)["cluster"] = "bare"
    _bare(listener)


_CHECK_CLUSTERS = {"a": "ott", "w": "ott-w", "g": "ott-g", "h": "ott-h", "s": "ott-s"}
_CHANGES = {
    "egress": lambda _: None,
    "egress-workload": _workload,
    "issued": _issued,
    "issued-in-time": _issued,
    "issued-workload": _issued_workload,
    "signed": _signed,
    "signed-naive": _signed_naive,
    "one-pool": _one_pool,
    "bare": _bare_to_bare,
    "naive-retries": _naive,
    "half-away": _half_away,
    "no-direction": _without_direction,
}


def _adapt(listener: Tree, folder: Path) -> None:
    hcm = hcm_of(listener)
    log = hcm["access_log"][0]
    log["name"] = "envoy.access_loggers.file"
    log["typed_config"]["@type"] = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
    log["typed_config"]["path"] = str(folder / "access-a.log")
    # Two cores carry all of it: the shipped 0.25 s would now and then be the tests' own fault.
    if listener["name"] not in ("issued-in-time", "bare"):
        authz_of(listener)["grpc_service"]["timeout"] = "5s"


def _check_cluster(base: Tree, name: str, cluster: str, folder: Path) -> Tree:
    made = copy.deepcopy(base)
    made |= {"name": cluster, "type": "STATIC"}
    made["load_assignment"] = _endpoints(cluster, {"pipe": {"path": f"{folder}/{name}.check.sock"}})
    return made


def _services(base: Tree, rig: "AttachRig") -> Iterator[Tree]:
    closed = free_ports(1)[0]
    service = rig.ports["b"]
    clusters = {
        "service": [service],
        "one-pool": [service],
        "half-away": [closed, service],
        "bare": [rig.ports["bare-b"]],
    }
    for name, ports in clusters.items():
        made = copy.deepcopy(base)
        made |= {"name": name, "type": "STATIC"}
        addresses = [{"socket_address": {"address": "127.0.0.1", "port_value": port}} for port in ports]
        made["load_assignment"] = _endpoints(name, *addresses)
        yield made


def _endpoints(cluster: str, *addresses: Tree) -> Tree:
    endpoints = [{"endpoint": {"address": address}} for address in addresses]
    return {"cluster_name": cluster, "endpoints": [{"lb_endpoints": endpoints}]}


@contextmanager
def checking_envoy(rig: "AttachRig", binary: Path, app_b: int) -> Iterator[Server]:
    places = Places(rig.folder, app_b, app_b, {"ott": rig.checks["b"].addresses})
    tree = configuration(places, (Listener("b"), Listener("bare-b", change=_bare)))
    with _envoy(rig, binary, "envoy-b", tree) as (server, _):
        yield server


@contextmanager
def attaching_envoy(rig: "AttachRig", binary: Path) -> Iterator[Server]:
    (rig.folder / WORKLOAD_SDS.name).write_text(WORKLOAD_SDS.read_text(encoding="utf-8"), encoding="utf-8")
    with _envoy(rig, binary, "envoy-a", attach_configuration(rig)) as (server, admin):
        rig.admin = admin
        yield server


@contextmanager
def _envoy(rig: "AttachRig", binary: Path, name: str, tree: Tree) -> Iterator[tuple[Server, str]]:
    config, admin = rig.folder / f"{name}.json", rig.folder / f"{name}-admin.txt"
    config.write_text(json.dumps(tree), encoding="utf-8")
    options = ["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning"]
    options += ["--file-flush-interval-msec", "50", "--admin-address-path", str(admin)]
    with Server(name, [binary, "-c", config, *options], rig.folder) as server:

        def is_up() -> bool:
            assert server.process.poll() is None, server.told()
            return admin.exists() and answers(f"http://{admin.read_text()}/ready")

        wait_until(is_up, server.told)
        for status in json.loads(fetched(f"http://{admin.read_text()}/listeners?format=json"))["listener_statuses"]:
            address = status["local_address"].get("socket_address")
            if address is not None:
                rig.ports[status["name"]] = address["port_value"]
        yield server, admin.read_text()
