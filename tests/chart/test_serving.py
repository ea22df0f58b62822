"""A pod of the chart, as far as this machine can be its node: its files, its arguments, its socket."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ott_extauthz.demo.ports import free_ports
from tests.chart import stand_ins
from tests.chart.kubelet import Node
from tests.chart.pods import pods
from tests.chart.rendering import objects, value_sets

TRUST = [{"issuer": "https://i", "algorithms": ["EdDSA"], "jwks": {"inline": stand_ins.another_jwks().decode()}}]
VALUES: dict[str, Any] = value_sets()["sidecar-values"] | {"trust": TRUST, "config": {"drain": {"wait": "0ms"}}}
"""Its store is out of reach, which keeps nobody from serving."""


@pytest.fixture
def node() -> Iterator[Node]:
    """A node in a folder with a short name: a socket's path has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="ott-") as folder:
        yield _node(Path(folder))


def _node(folder: Path) -> Node:
    made = {one["metadata"]["name"]: one["data"] for one in objects(VALUES, needed={}) if one["kind"] == "ConfigMap"}
    return Node(folder=folder, config_maps=made, secrets=stand_ins.secrets())


@pytest.fixture
def server(node: Node) -> Iterator[subprocess.Popen[str]]:
    (pod,) = pods(VALUES)
    node.start(pod.spec, pod.server)
    (admin,) = free_ports(1)
    here = str(node.localised())
    arguments = [here if one == "/etc/ott/ott.yaml" else one for one in pod.server["args"]]
    environment = {
        "PATH": os.environ["PATH"],
        "TMPDIR": str(node.inside("/tmp")),  # noqa: S108 - a path in the container
        "OTT_LISTEN__CHECK": f"unix://{socket_of(node)}",
        "OTT_LISTEN__ADMIN": f"127.0.0.1:{admin}",
        "OTT_STORE__URL": "redis://127.0.0.1:1",
    }
    command = [sys.executable, "-m", "ott_extauthz", *arguments]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def socket_of(node: Node) -> Path:
    return node.inside("/run/ott/check.sock")


def test_a_sidecar_serves_on_its_socket_and_leaves_when_told(node: Node, server: subprocess.Popen[str]) -> None:
    socket = socket_of(node)
    assert server.stderr is not None
    assert any('"event": "serving"' in line for line in server.stderr), "it ended, or said nothing until then"
    assert stat.S_IMODE(socket.stat().st_mode) == 0o660
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        said = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(service="liveness"), timeout=60, wait_for_ready=True
        )
    assert said.status == health_pb2.HealthCheckResponse.SERVING
    assert [path.name for path in node.inside("/var/lib/ott/audit").iterdir()] == ["decisions-check.jsonl"]
    server.send_signal(signal.SIGTERM)
    assert server.wait(60) == 0
