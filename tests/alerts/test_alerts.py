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
from ott_extauthz.observe.metrics import ALLOWED, LEFT_SECONDS, SECONDS
from ott_extauthz.ports import StoreState
from tests.alerts.known import OF_ISTIO, known, matched
from tests.alerts.rules import ALERTS, CASES, alerts, metrics_in, recorded, selectors, shortened, sums
from tests.architecture.documents import DOCS, anchors, blocks
from tests.architecture.tables import registries
from tests.dashboards.promql import OF_TARGETS
from tests.prometheus import promtool

RULES = alerts()
EXPRESSIONS = {name: rule["expr"] for name, rule in RULES.items()} | recorded()
CLOSED: dict[str, set[str]] = {
    "reason": set(Reason), "code": {*Code, ALLOWED}, "state": set(StoreState),
    "result": {*IntrospectionResult, "ok", "denied", "error", "invalid", "failure_mode_allowed"},
    "within": set(WITHIN), "outcome": {"allow", "deny"}, "serving": {"yes", "no"}, "policy": {"enforced", "shadow"},
    "what": set(LeftOut),
    "le": {f"{bound:g}" for bound in SECONDS},
}  # fmt: skip


def _cases() -> list[dict[str, Any]]:
    return [case for file in CASES for case in yaml.safe_load(file.read_text())["tests"]]


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


@pytest.mark.parametrize("name", sorted(EXPRESSIONS))
def test_a_rule_asks_for_nothing_that_is_not_there(name: str) -> None:
    """A metric, a label or a label's value that nobody writes would be an alert that cannot fire."""
    expression = EXPRESSIONS[name]
    asked = metrics_in(expression)
    assert asked
    assert all(matched(metric) for metric in asked), asked
    for metric, label, values in selectors(expression):
        assert label in known()[metric], f"{metric}: {label}"
        assert values <= CLOSED.get(label, values), values


@pytest.mark.parametrize("name", sorted(EXPRESSIONS))
def test_every_label_that_is_summed_by_is_on_what_is_summed(name: str) -> None:
    """Prometheus takes a label that is not there for an empty one, and says nothing."""
    for summed, labels in sums(EXPRESSIONS[name]):
        for metric in {one for asked in metrics_in(summed) for one in matched(asked)}:
            assert labels <= known()[metric] | OF_TARGETS, metric


@pytest.mark.parametrize("name", sorted(EXPRESSIONS))
def test_a_sum_tells_two_installations_apart(name: str) -> None:
    for _, labels in sums(EXPRESSIONS[name]):
        assert labels >= {"namespace", "job"}


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_quantile_is_compared_with_the_bound_of_a_bucket(name: str) -> None:
    """Between two bounds it is guessed: calls of 0.11 s may look like 0.23 s."""
    for metric, bound in re.findall(
        r"histogram_quantile\([^,]+, .*?(\w+)_bucket\[.*?\)\)\) [<>] ([\d.]+)", RULES[name]["expr"]
    ):
        bounds = {"ott_spend_seconds": SECONDS, "ott_check_seconds_left": LEFT_SECONDS}[metric]
        assert float(bound) in bounds


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_share_alone_raises_no_alert(name: str) -> None:
    """Of three calls one is a third: beside a share stands how many there must have been."""
    expression = RULES[name]["expr"]
    if " / " in expression or ":share" in expression or "histogram_quantile" in expression:
        assert re.search(r"(increase|rate)\([^[]+\[\w+\]\)+ > [\d.]+", expression), expression


def test_annotations_name_only_labels_that_the_expression_leaves() -> None:
    for name, rule in RULES.items():
        named = set(re.findall(r"\$labels\.(\w+)", "".join(rule["annotations"].values())))
        assert named <= _left(rule["expr"]), name


def _left(expression: str) -> set[str]:
    """The labels of what an expression yields: of what it sums by first, else of what it asks for."""
    first = metrics_in(re.split(r" [/>] ", expression)[0])
    summed = [labels for _, labels in sums(expression)]
    of_metrics = {label for asked in first for metric in matched(asked) for label in known()[metric]}
    if any(metric.startswith("ott:") and known()[metric] >= {"namespace", "job"} for metric in first):
        return of_metrics  # what is recorded is summed already
    if summed:
        return summed[0]
    in_istio = {label for labels in OF_ISTIO.values() for label in labels}
    return of_metrics | in_istio | OF_TARGETS


def test_what_istio_calls_envoys_counters_is_found_as_well() -> None:
    """Its rules for labels leave the listener in the name: an alert that asks for Envoy's own names could not fire."""
    patterns = re.findall(r'__name__=~"([^"]+)"', " ".join(recorded().values()))
    asked = {name for name in OF_ISTIO if not name.endswith("_disabled")}
    assert {name for name in asked if any(re.fullmatch(pattern, name) for pattern in patterns)} == asked
    assert not any(re.fullmatch(pattern, "envoy_http_ext_authz_shadow_error") for pattern in patterns)


CLUSTERS_OF_OTHERS = ("lottery", "bottle-service", "outbound|80||lotto.games.svc.cluster.local", "hottest")
CLUSTERS_OF_OURS = (
    "ott", "ott-2", "outbound|9001||ott-extauthz.security.svc.cluster.local",
    "securitypolicy/games/ott-extauthz/extauth/0/grpc", "my_ott",
)  # fmt: skip


def test_the_overflow_of_a_lottery_is_not_ours() -> None:
    (pattern,) = set(re.findall(r'cluster_name=~"([^"]+)"', recorded()["ott:envoy_overflows:total"]))
    found = {name for name in (*CLUSTERS_OF_OTHERS, *CLUSTERS_OF_OURS) if re.fullmatch(pattern, name)}
    assert found == set(CLUSTERS_OF_OURS)


@pytest.mark.parametrize("registry", registries(), ids=["check", "issuer"])
def test_promtool_finds_no_fault_in_the_metrics(registry: CollectorRegistry) -> None:
    code, told = promtool("check", "metrics", text=exposition(registry)[0].decode())
    assert code == 0, told


def _held_back() -> list[dict[str, Any]]:
    (block,) = blocks(DOCS / "alerts.md", "alertmanager")
    rules: list[dict[str, Any]] = yaml.safe_load(block)["inhibit_rules"]
    return rules


def _named(matchers: list[str]) -> set[str]:
    """The alerts that Alertmanager's matchers name."""
    (matcher,) = matchers
    pattern = re.fullmatch(r'alertname =~? "?([^"]+)"?', matcher)
    assert pattern is not None, matcher
    return {name for name in RULES if re.fullmatch(pattern[1], name)}


def test_what_the_runbook_holds_back_are_alerts_that_share_the_labels_it_goes_by() -> None:
    """Alertmanager takes a label that both lack for equal: one installation's outage would hide another one's."""
    for rule in _held_back():
        source, target = _named(rule["source_matchers"]), _named(rule["target_matchers"])
        assert source
        assert target
        assert not source & target
        for name in source | target:
            assert set(rule["equal"]) <= _left(RULES[name]["expr"]) | {"namespace", "job"}, name
    assert not {"OttEnvoyFailsOpen", "OttFenceMoved", "OttAuditFailing"} & {
        name for rule in _held_back() for name in _named(rule["target_matchers"])
    }
