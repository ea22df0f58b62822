"""What a real Envoy dumps of what it runs: nothing is found in the shipped configuration, and seeded faults are.

The faulty Envoy gets its parts as a control plane would send them: listeners, routes and the filter's own configuration
from files that it watches (LDS, RDS, ECDS), so that the dump's dynamic parts are Envoy's own and no copy of ours.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from ott_extauthz.demo.pki import Authority
from ott_extauthz.envoy_lint.expectations import Expectations
from ott_extauthz.envoy_lint.linting import findings
from ott_extauthz.envoy_lint.sources import Read, read_sources
from tests.e2e.servers import Server, answers, fetched, wait_until
from tests.unit.envoy_lint.faults import RETRIES
from tests.unit.envoy_lint.shipped import (
    FILTER,
    TYPES,
    action,
    authz,
    copy_of,
    entry,
    hcm,
    listener,
    route,
    rules_of,
    shipped,
)

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


INTERNAL = {"internal_address_config": {"cidr_ranges": [{"address_prefix": "127.0.0.0", "prefix_len": 8}]}}
WISHES = {"x-envoy-retry-on": "5xx", "x-envoy-max-retries": "3"}
TAKEN_OFF = {"request_headers_to_remove": [
    "x-envoy-retry-on", "x-envoy-retry-grpc-on", "x-envoy-hedge-on-per-try-timeout",
]}  # fmt: skip
ADDED = {"request_headers_to_add": [{"header": {"key": key, "value": value}} for key, value in WISHES.items()]}
RETRIED = {"route": {"cluster": "service", "retry_policy": {"retry_on": "5xx", "num_retries": 0}}}
ADDED_NUMBER = {"request_headers_to_add": ADDED["request_headers_to_add"][1:]}
REPEATED: dict[str, tuple[Tree, Tree, set[str]]] = {
    "external": ({}, {}, set()),
    "internal": (INTERNAL, {}, {"internal-callers"}),
    "taken-off": (INTERNAL, TAKEN_OFF, set()),
    "added": ({}, ADDED, {"route-retries"}),
    "added-number": ({}, {**RETRIED, **ADDED_NUMBER}, {"route-retries"}),
    "widened": (INTERNAL, {**TAKEN_OFF, **RETRIED}, {"internal-callers"}),
}
"""What the connection manager and the route say, and what the linter says of it."""


def _said(manager: Tree, routed: Tree) -> Tree:
    tree = shipped()
    hcm(tree).update(manager)
    route(tree).update(routed)
    return tree


@contextmanager
def _failing_upstream() -> Iterator[tuple[int, list[str]]]:
    """A service that does every call and answers 503; yields its port and the paths that it was called by."""
    calls: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            calls.append(self.path)
            self.send_response(503)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port, calls
        finally:
            server.shutdown()


def _in_the_clear(name: str, upstream: int) -> Tree:
    """The shipped listener without TLS and without the Check, whose tests are elsewhere."""
    manager, routed, _ = REPEATED[name]
    tree = _of_free_ports(_said(manager, routed))
    hcm(tree)["http_filters"].remove(entry(tree))
    del listener(tree)["filter_chains"][0]["transport_socket"]
    for each in tree["static_resources"]["clusters"]:
        end = each["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
        end["address"]["socket_address"]["port_value"] = upstream
    listener(tree)["name"] = name
    return tree


def test_callers_that_the_linter_names_do_have_their_calls_repeated(envoy: Path, tmp_path: Path) -> None:
    """One call of a caller becomes four deliveries, in each of the ways that are found, and in no other."""
    with _failing_upstream() as (port, calls):
        tree = _in_the_clear("external", port)
        others = [name for name in REPEATED if name != "external"]
        tree["static_resources"]["listeners"] += [copy_of(listener(_in_the_clear(name, port))) for name in others]
        with _running(envoy, tmp_path, tree) as url:
            told = json.loads(fetched(f"{url}/listeners?format=json"))["listener_statuses"]
            for each in told:
                at = each["local_address"]["socket_address"]["port_value"]
                with pytest.raises(HTTPError):
                    fetched(f"http://127.0.0.1:{at}/{each['name']}", {} if each["name"].startswith("added") else WISHES)
    counted = {name: calls.count(f"/{name}") for name in REPEATED}
    assert counted == {"external": 1, "internal": 4, "taken-off": 1, "added": 4, "added-number": 4, "widened": 4}
    for manager, routed, rules in REPEATED.values():
        assert rules_of(_said(manager, routed)) == rules
