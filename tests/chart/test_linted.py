"""What the chart makes is linted as an operator would: with its own ott.yaml and policy, and what NOTES say to copy."""

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from ott_extauthz.envoy_lint.finding import Finding
from ott_extauthz.envoy_lint.linting import findings, is_kubernetes
from ott_extauthz.envoy_lint.reading import documents_in
from ott_extauthz.envoy_lint.told import expectations_at
from tests.chart import stand_ins
from tests.chart.kubelet import Node
from tests.chart.notes import snippets
from tests.chart.pods import pods
from tests.chart.rendering import objects, render, value_sets
from tests.unit.envoy_lint.shipped import FILTER, shipped

SETS: Final = value_sets()
UNPATCHED: Final = {"istio-values": {"istio-mutations-not-validated", "istio-headers-merged"}}
"""What Istio has no field for: this set does without the chart's patch, and its operator is told."""
UNENCRYPTED: Final = "check-plaintext"
"""What NOTES say themselves of a Service without ``tls.enabled``."""
MERE: Final = "istio-body-not-needed"
"""A note: the sets' small policies judge no body, the chart sends them for policies that do."""


@pytest.mark.parametrize("name", SETS)
def test_the_chart_and_its_notes_are_free_of_findings(name: str, tmp_path: Path) -> None:
    values = SETS[name]
    is_in_the_clear = "cluster" in snippets(values) and not values.get("tls", {}).get("enabled")
    told = UNPATCHED.get(name, set()) | ({UNENCRYPTED} if is_in_the_clear else set())
    assert {each.rule.name for each in found(values, tmp_path)} - {MERE} == told


def test_with_the_charts_patch_nothing_is_left(tmp_path: Path) -> None:
    values = yaml.safe_load(yaml.safe_dump(SETS["istio-values"]))
    values["istio"]["patch"] = {"enabled": True}
    assert {each.rule.name for each in found(values, tmp_path)} - {MERE} == set()


def test_what_is_bent_is_found_with_the_charts_own_words(tmp_path: Path) -> None:
    """Lest the tests above look at nothing."""
    values = yaml.safe_load(yaml.safe_dump(SETS["istio-gateway-values"]))
    made = {path: text.replace("timeout: 0.25s", "timeout: 9s") for path, text in texts(values).items()}
    assert {each.rule.name for each in found(values, tmp_path, made)} == {"istio-check-timeout", MERE}


def found(values: dict[str, Any], folder: Path, made: dict[str, str] | None = None) -> list[Finding]:
    """Lint what there is for Kubernetes and Istio, and then Envoy's own snippets in the configuration that we ship."""
    given = texts(values) if made is None else made
    documents = [document for name, text in given.items() for document in documents_in(text, name)]
    assert documents
    assert all(map(is_kubernetes, documents))
    (server,) = [pod for pod in pods(values) if pod.component == "check"]
    node = Node(
        folder=folder,
        config_maps=stand_ins.config_maps() | _of(values, "ConfigMap", "data"),
        secrets=stand_ins.secrets() | _of(values, "Secret", "stringData"),
    )
    node.start(server.spec, server.server)
    expected = expectations_at(node.localised())
    tree = plain(values, is_behind_another=expected.trusted_hops > 0)
    return [*findings(documents, expected), *findings(documents_in(yaml.safe_dump(tree), "NOTES"), expected)]


def texts(values: dict[str, Any]) -> dict[str, str]:
    """Return the objects, and the blocks of NOTES that are objects or a mesh's configuration."""
    made = {path: text for path, text in render(values, needed={}).items() if path.endswith(".yaml")}
    blocks = {f"NOTES {name}": yaml.safe_dump(block) for name, block in snippets(values).items() if _is_whole(block)}
    return made | blocks


def plain(values: dict[str, Any], *, is_behind_another: bool) -> dict[str, Any]:
    """Return our shipped configuration with the filter and the cluster that NOTES print, where they do."""
    tree, said = shipped(), snippets(values)
    clusters = next((said[name] for name in ("cluster", "socket-cluster") if name in said), None)
    if clusters is None:
        return {}
    static = tree["static_resources"]
    manager = static["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    manager["http_filters"] = [*said["http-filter"], manager["http_filters"][-1]]
    static["clusters"] = [*clusters, static["clusters"][-1]]
    if is_behind_another:  # envoy/README.md: that proxy says SANITIZE_SET, this one APPEND_FORWARD
        manager["forward_client_cert_details"] = "APPEND_FORWARD"
    assert manager["http_filters"][0]["name"] == FILTER
    return tree


def _is_whole(block: object) -> bool:
    return isinstance(block, dict) and ("kind" in block or "meshConfig" in block)


def _of(values: dict[str, Any], kind: str, field: str) -> dict[str, dict[str, str]]:
    return {one["metadata"]["name"]: one[field] for one in objects(values, needed={}) if one["kind"] == kind}
