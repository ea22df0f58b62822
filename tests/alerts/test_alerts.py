"""The alerts are whole: each can fire, is told apart from what only looks like it, and has a page to read."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from ott_extauthz.check.introspecting import IntrospectionResult
from ott_extauthz.model.reason import Code, Reason
from ott_extauthz.observe.api_keys import WITHIN
from ott_extauthz.observe.exposition import exposition
from ott_extauthz.observe.left_out import LeftOut
from ott_extauthz.ports import StoreState
from tests.alerts.rules import ALERTS, CASES, alerts, metrics_in, shortened
from tests.architecture.documents import DOCS, anchors
from tests.architecture.tables import registries
from tests.prometheus import promtool

RULES = alerts()
CLOSED: dict[str, set[str]] = {
    "reason": set(Reason), "code": set(Code), "state": set(StoreState), "result": set(IntrospectionResult),
    "within": set(WITHIN), "outcome": {"allow", "deny"}, "serving": {"yes", "no"}, "policy": {"enforced", "shadow"},
    "what": set(LeftOut),
}  # fmt: skip
_SELECTOR = re.compile(r"\b(ott_\w+)\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)(=~|!=|=|!~)"([^"]*)"')


def _cases() -> list[dict[str, Any]]:
    return [case for file in CASES for case in yaml.safe_load(file.read_text())["tests"]]


def _exposed() -> dict[str, set[str]]:
    """Every series name of ours, with the labels it has."""
    found: dict[str, set[str]] = {}
    for registry in registries():
        for collector in registry._collector_to_names:
            for family in collector.collect():
                labels = set(getattr(collector, "_labelnames", getattr(family, "_labelnames", ())))
                endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
                found |= {
                    family.name + ending: labels | ({"le"} if ending == "_bucket" else set()) for ending in endings
                }
    return found


def test_prometheus_takes_the_rules() -> None:
    code, told = promtool("check", "rules", ALERTS)
    assert code == 0, told


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_the_alerts_fire_and_stay_silent_as_their_cases_say(file: Path) -> None:
    code, told = promtool("test", "rules", file)
    assert code == 0, told


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    fires: set[str] = set()
    silent: set[str] = set()
    for case in _cases():
        for test in case["promql_expr_test"]:
            (name,) = re.findall(r'^count\(ALERTS\{alertname="(\w+)",alertstate="firing"\}\)$', test["expr"])
            assert case["name"].startswith(name)
            assert case["input_series"], "nothing stays silent over nothing"
            (fires if test["exp_samples"] else silent).add(name)
    assert fires == silent == set(RULES)


def test_the_copy_for_the_impatient_asks_for_the_same_in_a_shorter_time() -> None:
    rule = "increase(a{b!='c'}[10m])) > 50 unless rate(a[1h] offset 10m) > 0.1\nfor: 5m"
    assert shortened(rule, 12) == "increase(a{b!='c'}[12s])) > 1 unless rate(a[12s] offset 12s) > 0.1\nfor: 0s"


@pytest.mark.parametrize("name", sorted(RULES))
def test_an_alert_says_what_it_means_and_where_to_read_on(name: str) -> None:
    rule = RULES[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert rule["annotations"]["runbook"] == f"docs/alerts.md#{name.lower()}"


def test_every_alert_has_its_section_in_the_runbook_and_no_other_has_one() -> None:
    sections = {anchor for anchor in anchors(DOCS / "alerts.md") if anchor.startswith("ott")}
    assert sections == {name.lower() for name in RULES}


@pytest.mark.parametrize("name", sorted(RULES))
def test_an_alert_asks_for_nothing_that_is_not_there(name: str) -> None:
    """A metric, a label or a label's value that nobody writes would be an alert that cannot fire."""
    exposed, expression = _exposed(), RULES[name]["expr"]
    assert {metric for metric in metrics_in(expression) if metric.startswith("ott_")} <= set(exposed)
    for metric, matchers in _SELECTOR.findall(expression):
        for label, _, values in _MATCHER.findall(matchers):
            assert label in exposed[metric], label
            assert set(values.split("|")) <= CLOSED.get(label, set(values.split("|"))), values


def test_annotations_name_only_labels_that_the_expression_leaves() -> None:
    for name, rule in RULES.items():
        named = set(re.findall(r"\$labels\.(\w+)", "".join(rule["annotations"].values())))
        left = re.findall(r"\bby \(([^)]*)\)", rule["expr"])
        allowed = set(re.split(r", *", left[0])) if left else _own_labels(rule["expr"])
        assert named <= allowed, name


def _own_labels(expression: str) -> set[str]:
    exposed = _exposed()
    own = {label for metric in metrics_in(expression) for label in exposed.get(metric, {"envoy_cluster_name"})}
    return own | {"job", "instance"}


@pytest.mark.parametrize("registry", registries(), ids=["check", "issuer"])
def test_promtool_finds_no_fault_in_the_metrics(registry: CollectorRegistry) -> None:
    code, told = promtool("check", "metrics", text=exposition(registry)[0].decode())
    assert code == 0, told
