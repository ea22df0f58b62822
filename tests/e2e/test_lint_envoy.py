"""What a real Envoy dumps of what it runs: nothing is found in the shipped configuration, and seeded faults are.

The faulty Envoy gets its parts as a control plane would send them: listeners, routes and the filter's own configuration
from files that it watches (LDS, RDS, ECDS), so that the dump's dynamic parts are Envoy's own and no copy of ours.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ott_extauthz.demo.pki import Authority
from ott_extauthz.envoy_lint.expectations import Expectations
from ott_extauthz.envoy_lint.linting import findings
from ott_extauthz.envoy_lint.sources import Read, read_sources
from tests.e2e.servers import Server, answers, wait_until
from tests.unit.envoy_lint.faults import RETRIES
from tests.unit.envoy_lint.shipped import FILTER, TYPES, action, authz, entry, hcm, listener, shipped

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-lint-envoy")]

Tree = dict[str, Any]


def _of_free_ports(tree: Tree) -> Tree:
    tree["admin"]["address"]["socket_address"]["port_value"] = 0
    listener(tree)["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": 0}
    return tree


def _watched(folder: Path, name: str, kind: str, resource: Tree) -> Tree:
    """Write a resource where Envoy watches for it, and return the config source that names the file."""
    (folder / name).write_text(json.dumps({"resources": [{"@type": TYPES + kind} | resource]}))
    return {"path_config_source": {"path": str(folder / name)}, "resource_api_version": "V3"}


def _faulty(folder: Path) -> Tree:
    tree = _of_free_ports(shipped())
    authz(tree)["failure_mode_allow"] = True
    action(tree)["retry_policy"] = RETRIES
    hcm(tree)["normalize_path"] = False
    config = entry(tree).pop("typed_config")
    extension = {"name": FILTER, "typed_config": config}
    source = _watched(folder, "ecds.json", "envoy.config.core.v3.TypedExtensionConfig", extension)
    entry(tree)["config_discovery"] = {"config_source": source, "type_urls": [config["@type"]]}
    routes = hcm(tree).pop("route_config")
    source = _watched(folder, "rds.json", "envoy.config.route.v3.RouteConfiguration", routes)
    hcm(tree)["rds"] = {"route_config_name": routes["name"], "config_source": source}
    (one,) = tree["static_resources"].pop("listeners")
    tree["dynamic_resources"] = {"lds_config": _watched(folder, "lds.json", "envoy.config.listener.v3.Listener", one)}
    return tree


@contextmanager
def _running(envoy: Path, folder: Path, tree: Tree) -> Iterator[str]:
    """Start Envoy and yield its admin port's URL once every part has arrived."""
    tls = folder / "tls"
    tls.mkdir()
    authority = Authority("lint")
    authority.write(tls, "client-ca")
    authority.issue("server", server=True, ips=("127.0.0.1",)).write(tls, "server")
    (folder / "envoy.json").write_text(json.dumps(tree))
    admin = folder / "admin.txt"
    argv: list[str | Path] = [
        envoy,
        "-c",
        "envoy.json",
        "--use-dynamic-base-id",
        "--concurrency",
        "1",
        "--log-level",
        "warning",
    ]
    with Server("envoy", [*argv, "--admin-address-path", admin], folder) as server:

        def serves() -> bool:
            return admin.exists() and answers(f"http://{admin.read_text()}/ready")

        wait_until(serves, server.told)
        yield f"http://{admin.read_text()}"


def _rules(read: Read) -> set[str]:
    return {each.rule.name for each in findings(read.documents, Expectations(), version=read.version)}


def test_nothing_is_found_in_the_dump_of_what_we_ship(envoy: Path, tmp_path: Path) -> None:
    with _running(envoy, tmp_path, _of_free_ports(shipped())) as url:
        read = read_sources([url])
    assert "1.40.0" in read.version
    assert _rules(read) == set()


def test_faults_that_came_from_a_control_plane_are_found_in_the_dump(envoy: Path, tmp_path: Path) -> None:
    with _running(envoy, tmp_path, _faulty(tmp_path)) as url:
        found: list[set[str]] = []

        def has_arrived() -> bool:
            found[:] = [_rules(read_sources([url]))]
            return "no-ext-authz" not in found[0]

        wait_until(has_arrived, lambda: str(found))
        assert found == [{"failure-mode-allow", "route-retries", "normalize-path"}]
        assert "failure-mode-allow" in _rules(read_sources([f"{url}/config_dump"]))
