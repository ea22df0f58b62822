"""What the chart makes for Prometheus and Grafana: found by their operators, and word for word what the files say."""

import copy
import json
import shutil
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from helm_python import Chart, HelmError

from dashboards.__main__ import BOARDS, FOLDER
from tests.architecture.documents import DOCS, blocks
from tests.chart.kinds import misfits
from tests.chart.rendering import CHART, objects, render, value_sets

MONITORS: Final = {"serviceMonitor": "ServiceMonitor", "podMonitor": "PodMonitor"}
KINDS: Final = {*MONITORS.values(), "PrometheusRule"}
RULES: Final = """# A comment.
groups:
  - name: ott
    rules:
      - alert: OttReplaySeen
        expr: increase(ott_replays_total[5m]) > 0
        labels: {severity: critical}
        annotations: {summary: "{{ $value }} replays on {{ $labels.route }}."}
"""


def metrics(**sections: dict[str, Any]) -> dict[str, Any]:
    return {"metrics": {name: {"enabled": True, **settings} for name, settings in sections.items()}}


def of_kind(values: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {made["metadata"]["name"]: made for made in objects(values) if made["kind"] == kind}


def dashboards_of(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = of_kind(values, "ConfigMap")
    return {name: made for name, made in found.items() if "-dashboard-" in name}


def test_by_default_there_is_nothing_of_another_project() -> None:
    made = objects({})
    assert not KINDS & {one["kind"] for one in made}
    assert dashboards_of({}) == {}


def test_the_shipped_set_renders_what_its_kinds_take() -> None:
    made = [
        one for one in objects(value_sets()["monitoring-values"]) if one["apiVersion"] == "monitoring.coreos.com/v1"
    ]
    assert made
    for one in made:
        assert misfits(one) == [], one["kind"]
        assert one["metadata"]["labels"]["release"] == "prometheus"


@pytest.mark.parametrize(("section", "kind"), MONITORS.items())
def test_what_is_enabled_waits_for_its_kind_unless_told_otherwise(section: str, kind: str) -> None:
    assert of_kind(metrics(**{section: {}}), kind) == {}
    assert of_kind(metrics(**{section: {"renderMode": "skipIfMissing"}}), kind) == {}
    assert of_kind(metrics(**{section: {"renderMode": "alwaysRender"}}), kind)
    with pytest.raises(HelmError, match=f"metrics.{section}: the cluster does not have monitoring.coreos.com/v1"):
        render(metrics(**{section: {"renderMode": "failIfMissing"}}))


def test_both_monitors_would_count_everything_twice() -> None:
    both = metrics(serviceMonitor={"renderMode": "alwaysRender"}, podMonitor={"renderMode": "alwaysRender"})
    with pytest.raises(HelmError, match="twice"):
        render(both)


def test_a_service_monitor_finds_the_metrics_service_and_no_other() -> None:
    values = metrics(serviceMonitor={"renderMode": "alwaysRender", "namespace": "monitoring"})
    (made,) = of_kind(values, "ServiceMonitor").values()
    assert misfits(made) == []
    assert made["metadata"]["namespace"] == "monitoring"
    assert made["spec"]["namespaceSelector"] == {"matchNames": ["auth"]}
    labels = made["spec"]["selector"]["matchLabels"]
    assert labels.pop("ott-extauthz/metrics") == "true"
    assert labels == {
        "app.kubernetes.io/name": "ott-extauthz",
        "app.kubernetes.io/instance": "pay",
        "app.kubernetes.io/component": "check",
    }
    (endpoint,) = made["spec"]["endpoints"]
    assert endpoint == {
        "port": "admin", "path": "/metrics", "scheme": "http", "interval": "30s", "scrapeTimeout": "10s",
        "honorLabels": False,
    }  # fmt: skip


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """The chart with nothing but the monitoring templates: other sections' demands are not this test's."""
    folder = tmp_path / "chart"
    shutil.copytree(CHART / "templates" / "monitoring", folder / "templates" / "monitoring")
    shutil.copytree(CHART / "files", folder / "files")
    for name in ("Chart.yaml", "values.yaml", "templates/_helpers.tpl"):
        shutil.copy(CHART / name, folder / name)
    return folder


def rendered(folder: Path, values: dict[str, Any]) -> list[dict[str, Any]]:
    texts: dict[str, str] = Chart.load(str(folder)).render(copy.deepcopy(values), name="pay", namespace="auth")
    return [made for text in texts.values() for made in yaml.safe_load_all(text) if made]


@pytest.mark.parametrize(("section", "kind"), MONITORS.items())
def test_the_issuer_is_scraped_where_there_is_one(section: str, kind: str, alone: Path) -> None:
    values = metrics(**{section: {"renderMode": "alwaysRender"}})
    assert [made["metadata"]["name"] for made in rendered(alone, values)] == ["pay-ott-extauthz"]
    made = rendered(alone, {**values, "issuer": {"enabled": True}})
    assert {one["kind"] for one in made} == {kind}
    assert sorted(one["metadata"]["name"] for one in made) == ["pay-ott-extauthz", "pay-ott-extauthz-issuer"]
    components = {one["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] for one in made}
    assert components == {"check", "issuer"}


def test_a_pod_monitor_finds_sidecars_in_other_peoples_pods() -> None:
    settings = {"renderMode": "alwaysRender", "selector": {"matchLabels": {"app": "envoy"}}}
    (made,) = of_kind(metrics(podMonitor=settings), "PodMonitor").values()
    assert misfits(made) == []
    assert made["spec"]["selector"] == settings["selector"]
    assert made["spec"]["namespaceSelector"] == {"any": True}
    (made,) = of_kind(metrics(podMonitor={**settings, "namespaces": ["payments"]}), "PodMonitor").values()
    assert misfits(made) == []
    assert made["spec"]["namespaceSelector"] == {"matchNames": ["payments"]}


@pytest.mark.parametrize(("section", "kind"), MONITORS.items())
def test_every_setting_of_a_monitor_arrives(section: str, kind: str) -> None:
    settings = {
        "renderMode": "alwaysRender", "interval": "5s", "scrapeTimeout": "2s", "honorLabels": True,
        "additionalLabels": {"team": "edge", "app.kubernetes.io/name": "other"},
        "relabelings": [{"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"}],
        "metricRelabelings": [{"action": "drop", "regex": "ott_build_info", "sourceLabels": ["__name__"]}],
    }  # fmt: skip
    (made,) = of_kind(metrics(**{section: settings}), kind).values()
    assert misfits(made) == []
    (endpoint,) = made["spec"].get("endpoints") or made["spec"]["podMetricsEndpoints"]
    wanted = {name: value for name, value in settings.items() if name not in ("renderMode", "additionalLabels")}
    assert {name: endpoint[name] for name in wanted} == wanted
    assert made["metadata"]["labels"]["team"] == "edge"
    assert made["metadata"]["labels"]["app.kubernetes.io/name"] == "ott-extauthz"  # selectors rely on ours


def test_alerts_arrive_as_they_stand_braces_and_all(alone: Path) -> None:
    (alone / "files" / "alerts.yaml").write_text(RULES, encoding="utf-8")
    values = metrics(prometheusRule={"renderMode": "alwaysRender", "additionalLabels": {"release": "prometheus"}})
    (made,) = rendered(alone, values)
    assert misfits(made) == []
    assert made["spec"] == yaml.safe_load(RULES)
    assert made["metadata"]["labels"]["release"] == "prometheus"


def test_dashboards_arrive_as_they_stand_braces_and_all() -> None:
    found = dashboards_of(metrics(grafanaDashboard={"namespace": "monitoring"}))
    assert set(found) == {f"pay-ott-extauthz-dashboard-{name}" for name in BOARDS}
    for name in BOARDS:
        made = found[f"pay-ott-extauthz-dashboard-{name}"]
        assert made["metadata"]["namespace"] == "monitoring"
        assert made["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert made["metadata"]["annotations"] == {"grafana_folder": "ott-extauthz"}
        text = made["data"][f"ott-extauthz-{name}.json"]
        assert json.loads(text) == json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        assert "{{" in text


def test_the_values_that_the_page_shows_install() -> None:
    values, provider = (yaml.safe_load(text) for text in blocks(DOCS / "dashboards.md", ""))
    assert set(values) == {"metrics"}
    assert provider["providers"]
    assert len(dashboards_of(values)) == len(BOARDS)


def test_no_dashboard_outgrows_what_kubectl_apply_keeps() -> None:
    for made in dashboards_of(metrics(grafanaDashboard={})).values():
        assert len(json.dumps(made)) < 262_144, made["metadata"]["name"]


def test_where_the_sidecar_looks_is_up_to_the_operator() -> None:
    settings = {
        "sidecarLabel": "dashboards", "sidecarLabelValue": "yes", "folderAnnotation": "folder", "folder": "Edge",
        "additionalLabels": {"team": "edge"}, "annotations": {"note": "ours"},
    }  # fmt: skip
    for made in dashboards_of(metrics(grafanaDashboard=settings)).values():
        assert made["metadata"]["labels"]["dashboards"] == "yes"
        assert made["metadata"]["labels"]["team"] == "edge"
        assert made["metadata"]["annotations"] == {"folder": "Edge", "note": "ours"}


def test_long_release_names_still_make_valid_names() -> None:
    values = metrics(grafanaDashboard={}, serviceMonitor={"renderMode": "alwaysRender"})
    for made in objects(values, name="a" * 53):
        assert len(made["metadata"]["name"]) <= 63


@pytest.mark.parametrize(
    "wrong",
    [
        {"serviceMonitor": {"intervall": "5s"}},
        {"serviceMonitor": {"interval": "often"}},
        {"serviceMonitor": {"renderMode": "sometimes"}},
        {"podMonitor": {"namespaceSelector": {"any": True}}},
        {"prometheusRule": {"interval": "5s"}},
        {"grafanaDashboard": {"renderMode": "alwaysRender"}},
        {"dashboards": {}},
    ],
    ids=str,
)
def test_a_typo_does_not_install(wrong: dict[str, Any]) -> None:
    with pytest.raises(HelmError):
        render({"metrics": wrong})


def test_a_typo_in_a_monitor_is_seen() -> None:
    values = metrics(serviceMonitor={"renderMode": "alwaysRender"})
    (made,) = of_kind(values, "ServiceMonitor").values()
    made["spec"]["endpoints"][0]["intervall"] = "5s"
    assert misfits(made)
