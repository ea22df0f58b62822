"""A real Envoy whose statistics have the labels of Istio's bootstrap, and that asks nobody: for the names alone."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from tests.e2e.gateway import SHIPPED, authz_of, hcm_of
from tests.e2e.servers import Server, answers, fetched, wait_until

LABELS: Final = (
    ("cluster_name", r"^cluster\.((.+?(\..+?\.svc\.cluster\.local)?)\.)"),
    ("http_conn_manager_prefix", r"^http\.(((?:[_.[:digit:]]*|[_\[\]aAbBcCdDeEfF[:digit:]]*))\.)"),
)
"""Istio's, of tools/packaging/common/envoy_bootstrap.json; its others are for other statistics."""

STAT_PREFIX: Final = "inbound_0.0.0.0_8080;"
CLUSTER: Final = "outbound|9001||ott-extauthz.security.svc.cluster.local"


@contextmanager
def of_istio(binary: Path, folder: Path) -> Iterator[str]:
    """Run it, and yield what a Prometheus would scrape."""
    config, admin = folder / "envoy.json", folder / "admin.txt"
    config.write_text(json.dumps(_configuration()), encoding="utf-8")
    options = ["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning"]
    with Server("envoy", [binary, "-c", config, *options, "--admin-address-path", admin], folder) as server:

        def is_up() -> bool:
            assert server.process.poll() is None, server.told()
            return admin.exists() and answers(f"http://{admin.read_text()}/ready")

        wait_until(is_up, server.told)
        yield fetched(f"http://{admin.read_text()}/stats/prometheus")


def _configuration() -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    tree["admin"]["address"]["socket_address"]["port_value"] = 0
    tree["stats_config"] = {
        "use_all_default_tags": False,
        "stats_tags": [{"tag_name": name, "regex": regex} for name, regex in LABELS],
    }
    (listener,), (ott, _) = tree["static_resources"]["listeners"], tree["static_resources"]["clusters"]
    ott["name"] = ott["load_assignment"]["cluster_name"] = CLUSTER
    tree["static_resources"]["listeners"] = [
        _listener(json.loads(json.dumps(listener)), name, stat_prefix)
        for name, stat_prefix in (("a", "ott"), ("b", ""))
    ]
    return tree


def _listener(listener: dict[str, Any], name: str, stat_prefix: str) -> dict[str, Any]:
    listener["name"] = name
    listener["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": 0}
    del listener["filter_chains"][0]["transport_socket"]
    hcm_of(listener)["stat_prefix"] = STAT_PREFIX
    authz = authz_of(listener)
    authz["stat_prefix"] = stat_prefix
    authz["grpc_service"]["envoy_grpc"]["cluster_name"] = CLUSTER
    return listener
