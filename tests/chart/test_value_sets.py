"""Every shipped value set lints, renders, fits Kubernetes and its neighbours, and holds a configuration that serves."""

from pathlib import Path
from typing import Any

import helm_python
import pytest
from typer.testing import CliRunner

from ott_extauthz.cli import app
from tests.chart import stand_ins
from tests.chart.kinds import CORE, misfits, open_places, own_schemas
from tests.chart.kubelet import Node
from tests.chart.pods import Pod, pods
from tests.chart.rendering import CHART, objects, render, value_sets

SETS = value_sets()
every_set = pytest.mark.parametrize("values", [pytest.param(values, id=name) for name, values in SETS.items()])


def test_the_sets_show_every_shape() -> None:
    shapes = {
        "shared", "memory", "sidecar", "daemonset", "issuer", "issuer-rings", "issuer-vault", "redis-sentinel",
        "redis-cluster", "redis-quorum", "postgresql", "external-secrets", "cert-manager", "istio", "envoy-gateway",
        "hardened", "openshift", "monitoring",
    }  # fmt: skip
    assert {f"{shape}-values" for shape in shapes} <= SETS.keys()
    assert {values["store"]["type"] for values in SETS.values()} == {
        "memory", "standalone", "sentinel", "cluster", "quorum", "postgresql",
    }  # fmt: skip


@every_set
def test_a_set_lints(values: dict[str, Any]) -> None:
    assert findings(values) == []


@pytest.mark.parametrize("version", ["v1.27.0", "v1.37.0"])
def test_the_chart_lints_without_values_and_over_the_whole_range(version: str) -> None:
    assert findings({}, version) == []
    assert findings(SETS["issuer-values"], version) == []


def findings(values: dict[str, Any], version: str = "v1.36.0") -> list[Any]:
    report = helm_python.lint(str(CHART), values, strict=True, kube_version=version)
    return [*report["messages"], *report["errors"]]


@every_set
def test_every_object_is_one_of_its_kind(values: dict[str, Any]) -> None:
    made = objects(values, needed={})
    assert [said for one in made for said in misfits(one)] == []
    ours = [one for one in made if one["apiVersion"].rpartition("/")[0] in CORE]
    assert {one["metadata"]["namespace"] for one in ours} == {"auth"}


def test_no_schema_lets_a_typo_pass() -> None:
    schemas = own_schemas()
    assert "cert-manager.io/v1/Certificate" in schemas
    for name, schema in schemas.items():
        closed = {**schema, "additionalProperties": False}
        assert list(open_places(closed)) == [], name


def test_a_misfit_is_seen() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"portz": []}}
    certificate = {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "a"}}
    unknown = {"apiVersion": "example/v1", "kind": "Nothing", "metadata": {"name": "a"}}
    assert len(misfits(service)) == 3
    assert misfits(certificate) == ["Certificate a $: 'spec' is a required property"]
    assert misfits(unknown) == ["no schema in tests/chart/schemas"]


SERVERS = [
    pytest.param(values, pod, id=f"{name}-{pod.component}") for name, values in SETS.items() for pod in pods(values)
]


@pytest.mark.parametrize(("values", "pod"), SERVERS)
def test_what_is_mounted_is_a_configuration_that_serves(values: dict[str, Any], pod: Pod, tmp_path: Path) -> None:
    """The very files, links and modes that the container would find, judged by the program itself."""
    made = objects(values, needed={})
    node = Node(
        folder=tmp_path,
        config_maps=stand_ins.config_maps() | _of(made, "ConfigMap", "data"),
        secrets=stand_ins.secrets() | _of(made, "Secret", "stringData"),
    )
    node.start(pod.spec, pod.server)
    checked = CliRunner().invoke(app, ["config", "check", "--config", str(node.localised())])
    assert checked.exit_code == 0, checked.output
    assert ": fine; " in checked.output


def _of(made: list[dict[str, Any]], kind: str, field: str) -> dict[str, dict[str, str]]:
    return {one["metadata"]["name"]: one[field] for one in made if one["kind"] == kind}


@every_set
def test_only_secrets_hold_secrets(values: dict[str, Any]) -> None:
    """A password in a ConfigMap, an argument or an annotation is read by whoever may read pods."""
    store = values["store"] | {"password": {"value": "hunter2hunter2"}} if values["store"]["type"] != "memory" else {}
    secret = {"mine": {"files": {"key": "correct-horse-battery"}}}
    given = values | ({"store": store} if store else {}) | {"secrets": values.get("secrets", {}) | secret}
    for text in ("hunter2hunter2", "correct-horse-battery"):
        holders = [one["kind"] for one in objects(given, needed={}) if text in str(one)]
        assert set(holders) <= {"Secret"}
    assert "correct-horse-battery" in str(render(given, needed={}))
