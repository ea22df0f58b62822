"""The same faults through every door: a dump, a dump with control planes in it, resource files, several bootstraps."""

import json
from typing import Any

from ott_extauthz.envoy_lint.configuration import envoys_in, is_envoys
from ott_extauthz.envoy_lint.document import Document
from ott_extauthz.envoy_lint.expectations import Expectations
from ott_extauthz.envoy_lint.linting import findings
from tests.unit.envoy_lint.faults import RETRIES
from tests.unit.envoy_lint.shipped import FILTER, TYPES, Tree, action, authz, cluster, edited, entry, hcm, shipped

ADMIN = f"{TYPES}envoy.admin.v3."
CONFIG = f"{TYPES}envoy.config."


def _document(tree: Tree, name: str = "x.json") -> Document:
    return Document(name=name, tree=json.loads(json.dumps(tree)))


def _found(*trees: Tree, **options: Any) -> set[tuple[str, str]]:
    documents = [_document(tree, f"{at}.json") for at, tree in enumerate(trees)]
    return {(each.rule.name, each.place.document) for each in findings(documents, Expectations(), **options)}


def _rules(*trees: Tree, **options: Any) -> set[str]:
    return {rule for rule, _ in _found(*trees, **options)}


def _dump(tree: Tree, *, state: str = "active_state", with_clusters: bool = True) -> Tree:
    """The dump of an Envoy that got everything from a control plane."""
    static = tree.pop("static_resources")
    node = tree.get("node", {}) | {"user_agent_build_version": {"version": {"major_number": 1, "minor_number": 40}}}
    [listener] = static["listeners"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    routes = manager.pop("route_config")
    manager["rds"] = {"route_config_name": routes["name"]}
    [guard] = [each for each in manager["http_filters"] if each["name"] == FILTER]
    extension = {
        "@type": f"{CONFIG}core.v3.TypedExtensionConfig",
        "name": FILTER,
        "typed_config": guard.pop("typed_config"),
    }
    guard["config_discovery"] = {"config_source": {"ads": {}}, "type_urls": [extension["typed_config"]["@type"]]}
    ends = [each.pop("load_assignment") for each in static["clusters"]]
    dumped: list[Tree] = [
        {"@type": f"{ADMIN}BootstrapConfigDump", "bootstrap": tree | {"node": node}},
        {
            "@type": f"{ADMIN}ListenersConfigDump",
            "dynamic_listeners": [{"name": "gateway", state: {"listener": listener}}],
        },
        {"@type": f"{ADMIN}RoutesConfigDump", "dynamic_route_configs": [{"route_config": routes}]},
        {"@type": f"{ADMIN}EcdsConfigDump", "ecds_filters": [{"ecds_filter": extension}]},
        {
            "@type": f"{ADMIN}EndpointsConfigDump",
            "static_endpoint_configs": [{"endpoint_config": each} for each in ends],
        },
    ]
    if with_clusters:
        active = [{"cluster": each} for each in static["clusters"]]
        dumped.append({"@type": f"{ADMIN}ClustersConfigDump", "dynamic_active_clusters": active})
    return {"configs": dumped}


def _resources(kind: str, *trees: Tree) -> Tree:
    return {"resources": [{"@type": f"{CONFIG}{kind}"} | tree for tree in trees]}


def test_a_dump_of_what_we_ship_has_nothing() -> None:
    assert _rules(_dump(shipped())) == set()


def test_a_fault_in_each_part_of_a_dump_is_found() -> None:
    def faults(tree: Tree) -> None:
        authz(tree)["failure_mode_allow"] = True  # in ECDS
        action(tree)["retry_policy"] = RETRIES  # in RDS
        hcm(tree)["merge_slashes"] = False  # in LDS
        cluster(tree)["health_checks"] = []  # in CDS
        cluster(tree)["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"] = {
            "socket_address": {"address": "10.0.0.9", "port_value": 9001}
        }  # in EDS
        tree["admin"]["address"]["socket_address"]["address"] = "0.0.0.0"  # noqa: S104 - in the bootstrap

    assert _rules(_dump(edited(faults))) == {
        "failure-mode-allow", "route-retries", "merge-slashes", "check-health", "check-plaintext", "admin-exposed",
    }  # fmt: skip


def test_a_warming_listener_is_looked_at_where_none_is_active() -> None:
    tree = edited(lambda tree: authz(tree).update(failure_mode_allow=True))
    assert _rules(_dump(tree, state="warming_state")) == {"failure-mode-allow"}


def test_what_a_dump_leaves_out_is_told_and_not_taken_for_good() -> None:
    without_filter = _dump(shipped())
    without_filter["configs"] = [each for each in without_filter["configs"] if "Ecds" not in each["@type"]]
    assert _rules(without_filter) == {"not-judged", "no-ext-authz"}
    without_routes = _dump(shipped())
    without_routes["configs"] = [each for each in without_routes["configs"] if "Routes" not in each["@type"]]
    assert _rules(without_routes) == {"not-judged"}
    assert _rules(_dump(shipped(), with_clusters=False)) == {"not-judged"}


def test_a_default_for_what_a_control_plane_did_not_send_is_looked_at() -> None:
    def discover(tree: Tree) -> None:
        config = entry(tree).pop("typed_config") | {"failure_mode_allow": True}
        entry(tree)["config_discovery"] = {"config_source": {"ads": {}}, "default_config": config}

    assert _rules(edited(discover)) == {"failure-mode-allow"}


def test_scoped_routes_are_found_by_name_and_inline() -> None:
    def scope(tree: Tree) -> None:
        routes = hcm(tree).pop("route_config") | {"name": "scoped"}
        routes["virtual_hosts"][0]["routes"][0]["route"]["retry_policy"] = RETRIES
        hcm(tree)["scoped_routes"] = {
            "name": "scopes",
            "scoped_route_configurations_list": {
                "scoped_route_configurations": [
                    {"name": "a", "route_configuration": routes},
                    {"name": "b", "route_configuration_name": "far"},
                ]
            },
        }

    assert _rules(edited(scope)) == {"route-retries", "not-judged"}


def test_resource_files_belong_to_the_bootstrap_beside_them() -> None:
    tree = edited(lambda tree: action(tree).update(retry_policy=RETRIES))
    listeners, clusters = (tree["static_resources"].pop(key) for key in ("listeners", "clusters"))
    manager = listeners[0]["filter_chains"][0]["filters"][0]["typed_config"]
    routes = manager.pop("route_config")
    manager["rds"] = {"route_config_name": "gateway"}
    parts = [
        _resources("listener.v3.Listener", *listeners),
        _resources("cluster.v3.Cluster", *clusters),
        _resources("route.v3.RouteConfiguration", routes),
    ]
    assert _found(tree, *parts) == {("route-retries", "3.json")}
    assert _found(*parts) == {("route-retries", "2.json")}


def test_two_bootstraps_are_two_envoys() -> None:
    faulty = edited(lambda tree: authz(tree).update(failure_mode_allow=True))
    assert _found(shipped(), faulty) == {("failure-mode-allow", "1.json")}
    assert len(list(envoys_in([_document(shipped()), _document(faulty)]))) == 2


def test_a_file_of_secrets_alone_is_no_envoy() -> None:
    secrets = {"resources": [{"@type": f"{TYPES}envoy.extensions.transport_sockets.tls.v3.Secret", "name": "workload"}]}
    assert is_envoys(_document(secrets))
    assert _rules(secrets) == set()


def test_what_is_no_envoy_is_known_for_none() -> None:
    assert not is_envoys(_document({"services": {"web": {}}}))


def test_the_version_stands_in_the_dump_and_is_overridden_by_the_users_word() -> None:
    dump = _dump(shipped())
    dump["configs"][0]["bootstrap"]["node"]["user_agent_build_version"] = {
        "version": {"major_number": 1, "minor_number": 38, "patch": 3}
    }
    assert _rules(dump) == {"envoy-version"}
    assert _rules(dump, version="1.38.4") == set()
    assert _rules(_dump(shipped()), version="0123/1.37.5/Clean/RELEASE/BoringSSL") == {"envoy-version"}


def test_routes_of_two_chains_are_one_finding() -> None:
    dump = _dump(edited(lambda tree: action(tree).update(retry_policy=RETRIES)))
    listener = dump["configs"][1]["dynamic_listeners"][0]["active_state"]["listener"]
    listener["filter_chains"] *= 2
    found = findings([_document(dump)], Expectations())
    assert [each.rule.name for each in found] == ["route-retries"]
