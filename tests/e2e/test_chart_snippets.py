"""What NOTES print for plain Envoy: the real one takes it, in the place where an operator puts it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.notes import snippets
from tests.e2e.gateway import SHIPPED, hcm_of
from tests.e2e.meshes import patched, rendered, shape
from tests.e2e.patching import NothingPatchedError, with_envoy_filter, with_envoy_patch_policy
from tests.e2e.test_shipped_configuration import tls_files, validated

pytestmark = pytest.mark.e2e


KINDS = {"cluster": "Deployment", "socket-cluster": "Sidecar"}


OTHERS = {"envoy": {"timeoutMilliseconds": 100, "maxRequestBytes": 0}, "fullnameOverride": "spend-once"}
OVER_TLS = {"tls": {"enabled": True, "existingSecret": "ott-tls"}}


@pytest.mark.parametrize(
    ("values", "cluster"),
    [({}, "cluster"), ({}, "socket-cluster"), (OTHERS, "cluster"), (OTHERS, "socket-cluster"), (OVER_TLS, "cluster")],
    ids=["default-cluster", "default-socket-cluster", "without-bodies-cluster", "without-bodies-socket-cluster", "tls"],
)
def test_envoy_takes_the_filter_and_the_cluster(
    envoy: Path, tmp_path: Path, values: dict[str, Any], cluster: str
) -> None:
    tree: dict[str, Any] = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    resources = tree["static_resources"]
    printed = snippets(values | {"kind": KINDS[cluster]})
    http_filters = hcm_of(resources["listeners"][0])["http_filters"]
    http_filters[:1] = printed["http-filter"]
    resources["clusters"] = [*printed[cluster], *(one for one in resources["clusters"] if one["name"] != "ott")]
    tree |= printed.get("runtime", {})
    assert [one["name"] for one in http_filters] == ["envoy.filters.http.ext_authz", "envoy.filters.http.router"]
    authority = tls_files(tmp_path, "server", "envoy") / "client-ca.pem"
    authority.with_name("ott-ca.pem").write_bytes(authority.read_bytes())
    config = tmp_path / "envoy.yaml"
    config.write_text(yaml.safe_dump(tree), encoding="utf-8")
    assert "eprecat" not in validated(envoy, config, tmp_path)


@pytest.mark.parametrize("client_auth", [True, False], ids=["mutual", "server-only"])
def test_envoy_takes_the_cluster_of_a_server_that_speaks_tls(envoy: Path, tmp_path: Path, *, client_auth: bool) -> None:
    tree: dict[str, Any] = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    resources = tree["static_resources"]
    tls = {"enabled": True, "existingSecret": "ott-tls", "clientAuth": client_auth}
    [cluster] = snippets({"tls": tls})["cluster"]
    assert ("tls_certificates" in cluster["transport_socket"]["typed_config"]["common_tls_context"]) is client_auth
    resources["clusters"] = [cluster, *(one for one in resources["clusters"] if one["name"] != "ott")]
    folder = tls_files(tmp_path, "server", "envoy")
    (folder / "ott-ca.pem").write_bytes((folder / "client-ca.pem").read_bytes())
    config = tmp_path / "envoy.yaml"
    config.write_text(yaml.safe_dump(tree), encoding="utf-8")
    assert "eprecat" not in validated(envoy, config, tmp_path)


def test_over_tls_the_cluster_speaks_tls_to_the_server_by_its_name() -> None:
    """In the clear every Check would fail at the port that serves TLS."""
    [cluster] = snippets(OVER_TLS)["cluster"]
    context = cluster["transport_socket"]["typed_config"]
    [name] = context["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"]
    assert context["sni"] == name["matcher"]["exact"] == "pay-ott-extauthz.auth.svc.cluster.local"


def test_the_clusters_differ_from_the_shipped_one_in_their_address_only() -> None:
    shipped = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))["static_resources"]["clusters"][0]
    for name, kind in KINDS.items():
        [cluster] = snippets({"kind": kind})[name]
        assert {key: cluster[key] for key in shipped if key not in ("type", "lb_policy", "load_assignment")} == {
            key: shipped[key] for key in shipped if key not in ("type", "lb_policy", "load_assignment")
        }
        assert cluster.keys() <= shipped.keys()
    assert snippets({})["cluster"][0].keys() == shipped.keys()


@pytest.mark.parametrize("name", ["istio-gateway", "istio-sidecar", "envoy-gateway"])
def test_a_patch_adds_and_takes_nothing_away(name: str) -> None:
    plain, changed = _authz(shape(name)), _authz(patched(name))
    kept = plain.keys() - {"with_request_body", "status_on_error"}
    assert {key: changed[key] for key in kept} == {key: plain[key] for key in kept}
    assert changed["encode_raw_headers"] is changed["validate_mutations"] is changed["include_peer_certificate"] is True
    assert changed["with_request_body"]["pack_as_bytes"] is True


@pytest.mark.parametrize("name", ["istio-gateway", "envoy-gateway"])
def test_a_patch_that_finds_no_filter_is_noticed(name: str) -> None:
    tree = shape(name)
    for one in hcm_of(tree)["http_filters"]:
        one["name"] = f"renamed.{one['name']}"
    with pytest.raises(NothingPatchedError):
        _apply(name, tree)


def test_a_patch_for_a_listener_of_another_name_is_noticed() -> None:
    with pytest.raises(NothingPatchedError):
        _apply("envoy-gateway", shape("envoy-gateway") | {"name": "tcp-10443"})


def _apply(name: str, tree: dict[str, Any]) -> None:
    if name == "envoy-gateway":
        with_envoy_patch_policy(tree, rendered("EnvoyPatchPolicy", "envoy-gateway-values"))
    else:
        with_envoy_filter(tree, rendered("EnvoyFilter", "istio-gateway-values"), "GATEWAY")


def _authz(tree: dict[str, Any]) -> dict[str, Any]:
    [found] = [one for one in hcm_of(tree)["http_filters"] if "ext_authz" in one["name"]]
    settings: dict[str, Any] = found["typed_config"]
    return settings
