"""The Envoy configurations that operators copy: a real Envoy takes them, and they guard what they say they guard."""

import copy
import json
import re
import subprocess
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml

from ott_extauthz.demo.pki import Authority
from tests.e2e.gateway import SHIPPED, Listener, Places, authz_of, configuration, hcm_of

pytestmark = pytest.mark.e2e

DEMO = resources.files("ott_extauthz.demo").joinpath("envoy.yaml").read_text(encoding="utf-8")
GUARDS = [
    "require_client_certificate", "normalize_path", "forward_client_cert_details", "headers_with_underscores_action",
    "failure_mode_allow", "status_on_error", "encode_raw_headers", "include_peer_certificate", "validate_mutations",
    "disallow_all", "clear_route_cache", "deny_at_disable",
]  # fmt: skip
PLACEHOLDERS = {"CHECK_PORT": "9001", "UPSTREAM_PORT": "8080"}


def validated(envoy: Path, config: Path, folder: Path) -> str:
    done = subprocess.run(
        [str(envoy), "--mode", "validate", "-c", str(config)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stderr


def tls_files(folder: Path, *servers: str) -> Path:
    tls = folder / "tls"
    tls.mkdir()
    authority = Authority("validate")
    authority.write(tls)
    authority.write(tls, "client-ca")
    for name in servers:
        authority.issue(name, server=True, ips=("127.0.0.1",)).write(tls, name)
    return tls


def _shipped() -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    return tree


def _demo() -> dict[str, Any]:
    values = PLACEHOLDERS | {"TLS": "tls", "ACCESS_LOG": "access.log"}
    tree: dict[str, Any] = yaml.safe_load(Template(DEMO).substitute(values))
    return tree


def _listener(tree: dict[str, Any]) -> dict[str, Any]:
    listener: dict[str, Any] = tree["static_resources"]["listeners"][0]
    return listener


def test_the_shipped_configuration_is_valid_as_it_stands(envoy: Path, tmp_path: Path) -> None:
    tls_files(tmp_path, "server")
    log = validated(envoy, SHIPPED, tmp_path)
    assert "eprecat" not in log


def test_the_demo_configuration_is_valid(envoy: Path, tmp_path: Path) -> None:
    tls = tls_files(tmp_path, "gateway")
    filled = Template(DEMO).substitute(PLACEHOLDERS, TLS=tls, ACCESS_LOG=tmp_path / "access.log")
    config = tmp_path / "envoy.yaml"
    config.write_text(filled, encoding="utf-8")
    assert "eprecat" not in validated(envoy, config, tmp_path)


def test_demo_yaml_in_the_repository_is_the_packages_own_file() -> None:
    assert (SHIPPED.parent / "demo.yaml").read_text(encoding="utf-8") == DEMO


def test_the_demo_runs_on_what_we_ship() -> None:
    """Everything that guards is the same; what differs are addresses, certificates and the access log's place."""
    shipped, demo = copy.deepcopy(_shipped()), copy.deepcopy(_demo())
    for tree in (shipped, demo):
        tree.pop("overload_manager", None)
        tree.pop("node")
        tree["admin"]["address"]["socket_address"].pop("port_value")
        listener = _listener(tree)
        listener.pop("address")
        hcm_of(listener)["access_log"][0].pop("name")
        log = hcm_of(listener)["access_log"][0]["typed_config"]
        log.pop("@type")
        log.pop("path", None)
        common = listener["filter_chains"][0]["transport_socket"]["typed_config"]["common_tls_context"]
        common.pop("tls_certificates")
        common.pop("validation_context")
    assert demo == shipped


def test_the_settings_of_the_notes_are_all_there() -> None:
    listener = _listener(_shipped())
    hcm, authz = hcm_of(listener), authz_of(listener)
    assert hcm["normalize_path"] is hcm["merge_slashes"] is True
    assert hcm["path_with_escaped_slashes_action"] == "REJECT_REQUEST"
    assert hcm["strip_trailing_host_dot"] is hcm["strip_matching_host_port"] is hcm["use_remote_address"] is True
    assert hcm["common_http_protocol_options"]["headers_with_underscores_action"] == "REJECT_REQUEST"
    assert hcm["forward_client_cert_details"] == "SANITIZE_SET"
    assert authz["failure_mode_allow"] is authz["clear_route_cache"] is False
    assert authz["status_on_error"] == {"code": "ServiceUnavailable"}
    assert authz["with_request_body"]["allow_partial_message"] is False
    for name in ("encode_raw_headers", "include_peer_certificate", "validate_mutations", "include_tls_session"):
        assert authz[name] is True, name
    assert authz["deny_at_disable"]["default_value"]["value"] is True
    assert authz["enable_dynamic_metadata_ingestion"] is True
    assert "retry_policy" not in authz["grpc_service"]
    routes = hcm["route_config"]["virtual_hosts"][0]["routes"]
    assert not {"retry_policy", "internal_redirect_policy"} & routes[0]["route"].keys()
    assert [one["name"] for one in hcm["http_filters"]] == ["envoy.filters.http.ext_authz", "envoy.filters.http.router"]


@pytest.mark.parametrize(
    ("name", "is_allowed"),
    [
        *(
            (name, True)
            for name in ("x-ott", "x-ott-subject", "x-ott-decision-id", "authorization", "dpop", "txn-token")
        ),
        *((name, True) for name in ("x-api-key", "cookie", "idempotency-key")),
        *((name, True) for name in ("x-signature", "webhook-signature", "signature", "signature-input")),
        *((name, False) for name in ("xx-ott-subject", "authorization-x", ":path", "host", "x-forwarded-client-cert")),
    ],
)
def test_the_mutation_rule_allows_ours_and_nothing_else(name: str, *, is_allowed: bool) -> None:
    """Envoy matches the whole name."""
    rule = authz_of(_listener(_shipped()))["decoder_header_mutation_rules"]
    assert rule["disallow_all"] is rule["disallow_is_error"] is True
    assert bool(re.fullmatch(rule["allow_expression"]["regex"], name)) is is_allowed


def test_every_edit_mark_is_a_place_to_edit_and_nothing_is_tied_to_one_machine() -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    marked = [line for line in text.splitlines() if "# EDIT" in line]
    assert len(marked) >= 8
    assert all(re.search(r"filename|address|port_value|max_active", line) for line in marked)
    assert not re.search(r"/(home|work|root|tmp)/", text + DEMO)


def test_every_guarding_line_says_why() -> None:
    """An operator who is about to change a line should find the threat beside it."""
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    for key in GUARDS:
        [at] = [number for number, line in enumerate(lines) if line.strip().startswith(f"{key}:")]
        above = [line.strip() for line in lines[at - 3 : at]]
        assert any(line.startswith("#") for line in above), key


def test_the_rig_is_built_from_the_shipped_configuration() -> None:
    places = Places(Path("folder"), 1, 2, {"ott": ("127.0.0.1:3",)})
    built = configuration(places, (Listener("shipped"),))
    expected = copy.deepcopy(authz_of(_listener(_shipped())))
    expected["grpc_service"]["timeout"] = "5s"
    assert json.loads(json.dumps(authz_of(built["static_resources"]["listeners"][0]))) == expected
