"""The Envoy configurations for attach mode that operators copy: valid as they stand, and they guard what they say."""

import copy
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ott_extauthz.demo.pki import Authority
from tests.e2e.attach_envoys import ATTACH, RETRIES, WORKLOAD_SDS
from tests.e2e.gateway import SHIPPED, Tree, authz_of, hcm_of

pytestmark = pytest.mark.e2e
BOTH = [pytest.param(path, id=path.name) for path in (ATTACH, RETRIES)]
ALLOWED = "x-(ott(-.*)?|signature|timestamp|nonce)|authorization|webhook-.*|signature.*|content-digest"
LEFT_OUT = ("include_peer_certificate", "include_tls_session")
"""What a listener needs whose callers have certificates."""


def _tree(path: Path) -> Tree:
    tree: Tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    return tree


def _attaching(path: Path) -> Tree:
    found: Tree = _tree(path)["static_resources"]["listeners"][-1]
    return found


@pytest.mark.parametrize("path", BOTH)
def test_the_configuration_is_valid_as_it_stands(envoy: Path, path: Path, tmp_path: Path) -> None:
    tls = tmp_path / "tls"
    tls.mkdir()
    authority = Authority("validate")
    authority.write(tls)
    authority.issue("app-a").write(tls, "workload")
    for file in (path, WORKLOAD_SDS):
        shutil.copy(file, tmp_path)
    command = [str(envoy), "--mode", "validate", "-c", path.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "eprecat" not in done.stderr


@pytest.mark.parametrize("path", BOTH)
def test_the_filter_is_the_checking_ones_but_for_callers_certificates(path: Path) -> None:
    checking = copy.deepcopy(authz_of(_tree(SHIPPED)["static_resources"]["listeners"][0]))
    attaching = authz_of(_attaching(path))
    for name in LEFT_OUT:
        checking.pop(name)
    checking["decoder_header_mutation_rules"]["allow_expression"]["regex"] = ALLOWED
    assert attaching == checking


@pytest.mark.parametrize("path", BOTH)
def test_only_the_attaching_listener_says_that_requests_leave(path: Path) -> None:
    *others, attaching = _tree(path)["static_resources"]["listeners"]
    settings = hcm_of(attaching)["route_config"]["typed_per_filter_config"]["envoy.filters.http.ext_authz"]
    assert settings["check_settings"] == {"context_extensions": {"ott.direction": "outbound"}}
    assert all("ott.direction" not in str(other) for other in [*others, _tree(SHIPPED)])
    for listener in (*others, attaching):
        address = listener.get("address", {}).get("socket_address", {"address": "127.0.0.1"})
        assert address["address"] == "127.0.0.1"


@pytest.mark.parametrize("path", BOTH)
def test_behind_the_filter_only_what_never_arrived_is_tried_again(path: Path) -> None:
    route: dict[str, Any] = hcm_of(_attaching(path))["route_config"]["virtual_hosts"][0]["routes"][0]["route"]
    assert route["retry_policy"]["retry_on"] == "connect-failure,refused-stream"
    assert "internal_redirect_policy" not in route


@pytest.mark.parametrize("path", BOTH)
def test_connections_are_kept_apart_by_certificate(path: Path) -> None:
    names = [one["name"].rpartition(".")[2] for one in hcm_of(_attaching(path))["http_filters"]]
    assert names == ["ext_authz", "set_filter_state", "router"]


def test_the_two_files_attach_alike() -> None:
    """What differs is the listener in front, and where the other one is reached."""
    single, double = _attaching(ATTACH), _attaching(RETRIES)
    for listener in (single, double):
        hcm = hcm_of(listener)
        for name in ("stat_prefix", "codec_type", "access_log"):
            hcm.pop(name)
        hcm["route_config"].pop("name")
    wanted = hcm_of(double)
    assert {name: hcm_of(single)[name] for name in wanted} == wanted
    assert _tree(ATTACH)["static_resources"]["clusters"] == _tree(RETRIES)["static_resources"]["clusters"][1:]


def test_no_token_is_logged_and_nothing_is_tied_to_one_machine() -> None:
    text = ATTACH.read_text(encoding="utf-8") + RETRIES.read_text(encoding="utf-8")
    assert not re.search(r"%REQ\((x-ott|authorization)", text, re.IGNORECASE)
    assert not re.search(r"/(home|work|root|tmp)/", text)
