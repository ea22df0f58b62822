"""Values: closed, described, and without a default that weakens anything."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.chart.readme import README, VALUES, rows, with_values
from tests.chart.rendering import CHART, objects, problems, render, value_sets

SETS = value_sets()
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
DEFAULTS = yaml.load(VALUES.read_text(), Loader=yaml.CSafeLoader)


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    name = part.get("$ref", "").removeprefix("#/$defs/")
    return resolved(SCHEMA["$defs"][name]) if name else part


def properties(part: dict[str, Any]) -> dict[str, Any] | None:
    """Return what an object may hold; None where that is the user's own, or it is no object."""
    found: dict[str, Any] | None = resolved(part).get("properties")
    return found


def differences(part: dict[str, Any], values: Any, place: str = "") -> Iterator[str]:
    known = properties(part)
    if known is None:
        return
    for name in known.keys() ^ values.keys() - {"global"}:
        yield f"{place}.{name}"
    for name in known.keys() & values.keys():
        yield from differences(known[name], values[name], f"{place}.{name}")


def test_the_schema_has_the_keys_of_the_values_and_no_others() -> None:
    """`global` is Helm's own: it hands it to a chart that is part of another."""
    assert list(differences(SCHEMA, DEFAULTS)) == [".global"]
    assert list(differences(SCHEMA, DEFAULTS | {"replicas": 1, "image": {}})) != [".global"]


def objects_of(part: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(part, dict):
        if part.get("type") == "object":
            yield place, part
        for name, inner in part.items():
            yield from objects_of(inner, f"{place}/{name}")
    elif isinstance(part, list):
        for index, inner in enumerate(part):
            yield from objects_of(inner, f"{place}/{index}")


def test_what_names_its_keys_takes_no_others() -> None:
    """But for an issuer in `trust`, most of whose keys the server judges, and Helm's `global`, which charts share."""
    named = {place: part for place, part in objects_of(SCHEMA) if "properties" in part}
    assert {"", "/properties/store", "/$defs/probe"} <= named.keys()
    is_open = {place for place, part in named.items() if part.get("additionalProperties") is not False}
    assert is_open == {"/$defs/trustedIssuer", "/properties/global"}


def test_what_takes_any_key_belongs_to_the_user() -> None:
    is_free = {
        place.rpartition("/")[2] for place, part in objects_of(SCHEMA)
        if part.keys().isdisjoint({"properties", "additionalProperties"})
    }  # fmt: skip
    assert "userMap" in is_free
    assert is_free <= {"userMap", "items"}


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"replicas": 3}, "replicas"),
        ({"store": {"type": "standalone", "server": ["a"]}}, "server"),
        ({"probes": {"liveness": {"period": 1}}}, "period"),
        ({"issuer": {"keys": {"secret": "a"}}}, "secret"),
        ({"secrets": {"a": {"existingsecret": "b"}}}, "existingsecret"),
        ({"trust": [{"issuer": "https://a", "algorithms": ["EdDSA"], "jwks": {"configmap": "b"}}]}, "jwks"),
        ({"kind": "StatefulSet"}, "kind"),
        ({"policy": {"files": {"policy.yml": "a"}}}, "policy.yml"),
        ({"issuer": {"url": "http://issuer.example"}}, "url"),
        ({"replicaCount": "2"}, "replicaCount"),
        ({"image": {"digest": "latest"}}, "digest"),
    ],
    ids=[
        "top", "store", "probe", "issuer", "secret", "trust", "kind", "yml", "clear-text", "text-number", "digest",
    ],
)  # fmt: skip
def test_a_typo_is_refused(values: dict[str, Any], place: str) -> None:
    told = problems(values)
    assert place in told
    assert "these values do not make" not in told, "the schema says it first"


def test_the_readme_describes_the_values_as_they_are() -> None:
    text = README.read_text()
    assert with_values(text) == text, "run: python -m tests.chart.readme"


def test_every_value_is_described() -> None:
    described = {row.key for row in rows()}
    assert {"kind", "store.type", "issuer.tls.certManager.renderMode", "networkPolicy.egress.otlp.ports"} <= described
    assert [
        key for key in leaves(DEFAULTS) if not any(key == one or key.startswith(f"{one}.") for one in described)
    ] == []


def leaves(values: Any, place: str = "") -> Iterator[str]:
    if isinstance(values, dict) and values:
        for name, inner in values.items():
            yield from leaves(inner, f"{place}.{name}" if place else name)
    else:
        yield place


WEAK = (
    r"failure_mode_allow\w*: true", r"fail_?[Oo]pen: true", r"accept the risk", r"[Uu]nsafe", r"[Ii]nsecure",
    r"retry_policy", r"retryPolicy", r"(num_?[Rr]etries|attempts): [1-9]", r"memory://", r"expose_reasons: true",
    r"hostPort", r"privileged: true", r"hostPath",
)  # fmt: skip


def dumped(value: Any) -> str:
    """YAML in block style, by libyaml: ten times faster."""
    text: str = yaml.dump(value, Dumper=yaml.CSafeDumper)
    return text


def weak(text: str) -> set[str]:
    return {found[0] for word in WEAK if (found := re.search(word, text))}


def test_nothing_weak_stands_in_the_defaults() -> None:
    """Whoever gives only what is needed gets no fail-open, no retry, no risk, and no memory store."""
    made = objects({})
    assert weak(dumped(made)) == set()
    assert weak(dumped(DEFAULTS)) == set()
    assert DEFAULTS["acceptedRisks"] == []
    assert DEFAULTS["store"]["type"] == ""


@pytest.mark.parametrize("values", [pytest.param(values, id=name) for name, values in SETS.items()])
def test_no_shipped_set_teaches_a_weakness(values: dict[str, Any]) -> None:
    expected = {"memory://"} if values["store"]["type"] == "memory" else set()
    made = [one for one in objects(values, needed={}) if not _speaks_of_stores(one)]
    assert weak(dumped(made)) == expected


def _speaks_of_stores(made: dict[str, Any]) -> bool:
    """Whether it is an alert or a dashboard, which say "unsafe" of a store that is."""
    return made["kind"] == "PrometheusRule" or "-dashboard-" in made["metadata"]["name"]


def test_a_weakness_is_seen() -> None:
    assert weak("failOpen: true") == {"failOpen: true"}
    assert weak("store: {url: memory://}") == {"memory://"}
    assert weak("failOpen: false, num_retries: 0") == set()


def test_what_weakens_is_told_when_it_installs() -> None:
    """`ott.warnings` is for NOTES.txt; it is looked at here through an object of one's own."""
    data = '{told: {{ include "ott.warnings" . | toJson }}}'
    text = f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: told}}, data: {data}}}"

    def told(values: dict[str, Any]) -> str:
        made = render(values | {"extraObjects": [text]}, needed={})["templates/core/extra.yaml"]
        return str(yaml.safe_load(made)["data"]["told"])

    assert "forgets what was spent" in told(SETS["memory-values"])
    assert "every pod may call Check" in told(SETS["memory-values"])
    assert "nobody will know what was decided" in told(SETS["memory-values"])
    assert "ends with its pod" in told(SETS["shared-values"])
    assert told(SETS["hardened-values"]) == ""
