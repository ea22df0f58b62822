from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from ott_extauthz.drills.ground_files import FIRST, FULL, OVERSEAS, REGIONS, SECOND, places, with_listeners, write_files
from ott_extauthz.settings import load

SERVERS = places()
VALUES = {
    "ISSUER_PORT": 1, "UPSTREAM_PORT": 2, "STORE": "redis://127.0.0.1:3/0", "TLS": "tls", "ACCESS_LOG": "access.log",
}  # fmt: skip


def _shipped() -> dict[str, Any]:
    text = resources.files("ott_extauthz.demo").joinpath("envoy.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text.replace("${CHECK_PORT}", "9001").replace("${UPSTREAM_PORT}", "9002"))
    return found


def _grpc_service(listener: dict[str, Any]) -> dict[str, Any]:
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    found: dict[str, Any] = manager["http_filters"][0]["typed_config"]["grpc_service"]
    return found


def test_every_server_has_a_listener_and_a_cluster_that_differ_from_the_demos_by_name_and_patience_alone() -> None:
    shipped, changed = _shipped(), with_listeners(_shipped(), SERVERS)
    listeners = {one["name"]: one for one in changed["static_resources"]["listeners"]}
    clusters = {one["name"]: one for one in changed["static_resources"]["clusters"]}
    assert set(listeners) == set(SERVERS)
    assert set(clusters) == {*SERVERS, "service"}
    (original,) = shipped["static_resources"]["listeners"]
    _grpc_service(original)["timeout"] = "2s"
    for name, listener in listeners.items():
        assert _grpc_service(listener)["envoy_grpc"].pop("cluster_name") == name
        _grpc_service(listener)["envoy_grpc"]["cluster_name"] = "ott"
        assert listener | {"name": "gateway"} == original
        (endpoint,) = clusters[name]["load_assignment"]["endpoints"][0]["lb_endpoints"]
        assert endpoint["endpoint"]["address"]["socket_address"]["port_value"] == SERVERS[name].check


def test_the_servers_configurations_load_and_share_store_and_audit(tmp_path: Path) -> None:
    write_files(tmp_path, SERVERS, VALUES, 4)
    loaded = {name: load(tmp_path / place.config, {}) for name, place in SERVERS.items()}
    assert {name: each.region for name, each in loaded.items()} == REGIONS
    assert {each.store.url for each in loaded.values()} == {"redis://127.0.0.1:3/0"}
    assert (
        len({each.listen.check[0] for each in loaded.values()} | {each.listen.admin for each in loaded.values()}) == 8
    )
    audits = {name: Path(each.audit.path).name for name, each in loaded.items() if each.audit}
    assert audits == {FIRST: "audit", SECOND: "audit", OVERSEAS: "audit", FULL: "full"}
    (full,) = (tmp_path / "full").iterdir()
    assert str(full.readlink()) == "/dev/full"
    issuing = load(tmp_path / "ott.yaml", {}).issuer
    assert issuing is not None
    assert str(issuing.admin) == "127.0.0.1:4"
