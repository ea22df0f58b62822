"""Which files do the drills run on?  The demo's, with two replicas, a server overseas, and one whose disk is full."""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from ott_extauthz.demo.files import write_configurations
from ott_extauthz.demo.ports import free_ports
from ott_extauthz.sections.words import file_name

FIRST, SECOND, OVERSEAS, FULL = "first", "second", "overseas", "full"
"""Two replicas in the EU; a server in the US whose clock can be turned; one whose audit cannot be written."""

REGIONS: Final = {FIRST: "EU", SECOND: "EU", OVERSEAS: "US", FULL: "EU"}
_LOOK_EVERY: Final = "200ms"
_FILTER_TIMEOUT, _STORE_TIMEOUT = "2s", "1s"
"""More than is shipped: a machine that does other work besides must not look like a fault."""


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """Where a Check server listens, and its configuration's file name."""

    check: int
    admin: int
    config: str

    @property
    def metrics(self) -> str:
        """Where it is scraped."""
        return f"http://127.0.0.1:{self.admin}/metrics"


def places() -> dict[str, ServerPlace]:
    """Choose ports for every Check server."""
    ports = free_ports(2 * len(REGIONS))
    pairs = zip(ports[::2], ports[1::2], strict=True)
    return {name: ServerPlace(*pair, f"{name}.yaml") for name, pair in zip(REGIONS, pairs, strict=True)}


def write_files(
    folder: Path, servers: Mapping[str, ServerPlace], values: Mapping[str, object], issuer_admin: int
) -> None:
    """Write the demo's configurations, one for each server, and an Envoy with a listener for each."""
    first = servers[FIRST]
    write_configurations(folder, {"CHECK_PORT": first.check, "ADMIN_PORT": first.admin, **values})
    written = yaml.safe_load((folder / "ott.yaml").read_text(encoding="utf-8"))
    issuing = written | {"issuer": written["issuer"] | {"admin": f"127.0.0.1:{issuer_admin}"}}
    (folder / "ott.yaml").write_text(json.dumps(issuing), encoding="utf-8")
    for name, place in servers.items():
        settings = _settings(written, name, place)
        (folder / place.config).write_text(json.dumps(settings), encoding="utf-8")
    _fill_the_disk(folder, servers[FULL])
    envoy = yaml.safe_load((folder / "envoy.yaml").read_text(encoding="utf-8"))
    (folder / "envoy.yaml").write_text(json.dumps(with_listeners(envoy, servers)), encoding="utf-8")


def _settings(written: Mapping[str, Any], name: str, place: ServerPlace) -> dict[str, Any]:
    return {
        **written,
        "listen": {"check": f"127.0.0.1:{place.check}", "admin": f"127.0.0.1:{place.admin}"},
        "store": {"url": written["store"], "timeout": _STORE_TIMEOUT},
        "region": REGIONS[name],
        "reload": {"every": _LOOK_EVERY},
        "audit": {"path": "full/" if name == FULL else "audit/", "required": True},
    }


def _fill_the_disk(folder: Path, place: ServerPlace) -> None:
    # Whatever is written to /dev/full fails as on a disk without room.
    (folder / "full").mkdir()
    (folder / "full" / f"decisions-{file_name(f'127.0.0.1:{place.check}')}.jsonl").symlink_to("/dev/full")


def with_listeners(envoy: Mapping[str, Any], servers: Mapping[str, ServerPlace]) -> dict[str, Any]:
    """Return the demo's Envoy with a listener and an ``ott`` cluster for each server, alike but for name and time."""
    changed = copy.deepcopy(dict(envoy))
    static = changed["static_resources"]
    (listener,) = static["listeners"]
    (ott,) = [cluster for cluster in static["clusters"] if cluster["name"] == "ott"]
    static["clusters"].remove(ott)
    static["listeners"] = [_listener(listener, name) for name in servers]
    static["clusters"] += [_cluster(ott, name, place.check) for name, place in servers.items()]
    return changed


def _listener(shipped: Mapping[str, Any], name: str) -> dict[str, Any]:
    listener = copy.deepcopy(dict(shipped))
    listener["name"] = name
    (manager,) = listener["filter_chains"][0]["filters"]
    ext_authz = manager["typed_config"]["http_filters"][0]["typed_config"]
    ext_authz["grpc_service"]["envoy_grpc"]["cluster_name"] = name
    ext_authz["grpc_service"]["timeout"] = _FILTER_TIMEOUT
    return listener


def _cluster(shipped: Mapping[str, Any], name: str, port: int) -> dict[str, Any]:
    cluster = copy.deepcopy(dict(shipped))
    cluster["name"] = cluster["load_assignment"]["cluster_name"] = name
    (endpoints,) = cluster["load_assignment"]["endpoints"]
    (endpoint,) = endpoints["lb_endpoints"]
    endpoint["endpoint"]["address"]["socket_address"]["port_value"] = port
    return cluster
