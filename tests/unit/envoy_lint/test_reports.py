"""What people read, what a script reads, and what a pipeline uploads."""

import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from ott_extauthz.envoy_lint.catalogue import ENVOY_RULES, RULES
from ott_extauthz.envoy_lint.expectations import Expectations
from ott_extauthz.envoy_lint.finding import Severity
from ott_extauthz.envoy_lint.linting import findings
from ott_extauthz.envoy_lint.reading import documents_in
from ott_extauthz.envoy_lint.reports import data_of, sarif_of, text_of
from tests.unit.envoy_lint.shipped import authz, edited, hcm, linted, virtual_host
from tests.unit.envoy_lint.shipped import text_of as shipped_text

FAULTY = shipped_text("envoy.yaml").replace("failure_mode_allow: false", "failure_mode_allow: true")
FAULTY = FAULTY.replace("merge_slashes: true", "merge_slashes: false")
FOUND = findings(documents_in(FAULTY, "my envoy.yaml"), Expectations())
LINE = FAULTY.splitlines().index("                      failure_mode_allow: true") + 1


def test_people_get_place_severity_reason_and_mend_with_the_worst_first() -> None:
    text = text_of(FOUND, {}, 1)
    assert text.splitlines()[0].startswith(
        f"my envoy.yaml:{LINE} static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters[0]"
        ".typed_config.failure_mode_allow: error: Requests pass when nobody answers (failure-mode-allow): "
    )
    assert "  mend: failure_mode_allow: false" in text
    assert text.endswith("1 document: 1 error, 1 warning, 0 notes")
    assert text.index("(merge-slashes)") > text.index("(failure-mode-allow)")


def test_one_fault_in_many_places_is_told_once_with_some_of_them() -> None:
    def many(tree: dict[str, Any]) -> None:
        route = {"match": {"prefix": "/a"}, "route": {"cluster": "service", "internal_redirect_policy": {}}}
        virtual_host(tree)["routes"] = [route] * 6

    text = text_of(linted(edited(many)), {}, 1)
    assert text.count("(internal-redirect)") == 1
    assert text.count("  also: envoy.json static_resources.listeners[0]") == 3
    assert "  and in 2 more places\n" in text
    assert text.endswith("0 errors, 6 warnings, 0 notes")


def test_what_is_ignored_is_still_counted_with_its_reason() -> None:
    text = text_of(FOUND, {"failure-mode-allow": "a lab", "shadow-mode": ""}, 1)
    assert "Requests pass" not in text
    assert "ignored: failure-mode-allow, 1 time: a lab\nignored: shadow-mode, 0 times\n" in text


def test_json_has_every_member_for_every_finding() -> None:
    data = data_of(FOUND, {"merge-slashes": "old upstream"})
    first, second = json.loads(json.dumps(data))["findings"]
    assert first.keys() == second.keys() == {
        "rule", "severity", "title", "detail", "document", "path", "line", "why", "mend", "ignored",
    }  # fmt: skip
    assert (first["rule"], first["severity"], first["line"], first["ignored"]) == (
        "failure-mode-allow",
        "error",
        LINE,
        None,
    )
    assert second["ignored"] == "old upstream"


def test_a_name_from_the_configuration_cannot_drive_the_terminal() -> None:
    def spoof(tree: dict[str, object]) -> None:
        hcm(tree)["http_filters"].append({"name": "\x1b[2J\nnothing", "typed_config": {"@type": "x"}})

    text = text_of(linted(edited(spoof)), {}, 1)
    assert "\x1b" not in text
    assert "\\x1b[2J\\nnothing" in text


def test_no_report_quotes_what_may_be_a_secret() -> None:
    def hide(tree: dict[str, object]) -> None:
        authz(tree)["decision_cache"] = {"password": "hunter2"}
        authz(tree)["grpc_service"]["initial_metadata"] = [{"key": "authorization", "value": "hunter2"}]

    found = linted(edited(hide))
    assert found
    shown = [
        text_of(found, {}, 1),
        json.dumps(data_of(found, {})),
        json.dumps(sarif_of(found, {}, RULES, "1")),
        repr(found),
    ]
    assert "hunter2" not in "".join(shown)


def _sarif() -> dict[str, Any]:
    log: dict[str, Any] = json.loads(json.dumps(sarif_of(FOUND, {"merge-slashes": "old upstream"}, RULES, "0.1.0")))
    return log


def test_sarif_has_the_structure_that_the_standard_asks_for() -> None:
    """SARIF 2.1.0: the required members, and what code scanning needs to show a result at its line."""
    log = _sarif()
    assert log["version"] == "2.1.0"
    [run] = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"]
    ids = [rule["id"] for rule in driver["rules"]]
    assert ids == list(RULES)
    assert all(rule["shortDescription"]["text"] and rule["help"]["text"] for rule in driver["rules"])
    assert {rule["defaultConfiguration"]["level"] for rule in driver["rules"]} == {"error", "warning", "note"}
    assert len(run["results"]) == len(FOUND)
    for result in run["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in {each.value for each in Severity}
        assert result["message"]["text"]
        [location] = result["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"] == "my%20envoy.yaml"
        assert location["physicalLocation"]["region"]["startLine"] >= 1
        assert location["logicalLocations"][0]["fullyQualifiedName"]


def test_code_scanning_gets_a_line_and_a_uri_for_whatever_was_read() -> None:
    """GitHub drops results without a line; JSON has none. A file's name may be no UTF-8 at all."""
    documents = documents_in(json.dumps(edited(lambda tree: authz(tree).update(shadow_mode=True))), "a b\udcff:1.json")
    [found] = findings(documents, Expectations())
    assert found.place.line is None
    [run] = sarif_of([found], {}, RULES, "0.1.0")["runs"]
    physical = run["results"][0]["locations"][0]["physicalLocation"]
    assert physical == {"artifactLocation": {"uri": "a%20b%FF%3A1.json"}, "region": {"startLine": 1}}


@pytest.mark.parametrize(
    ("source", "uri"),
    [
        ("http://127.0.0.1:9901", "127.0.0.1%3A9901/config_dump"),
        ("http://localhost:15000/config_dump?include_eds", "localhost%3A15000/config_dump"),
        ("https://[::1]:9901/", "%5B%3A%3A1%5D%3A9901/config_dump"),
        ("/srv/my envoy.json", "file:///srv/my%20envoy.json"),
        ("stdin", "stdin"),
    ],
)
def test_code_scanning_refuses_no_log_for_the_scheme_of_a_live_envoy(source: str, uri: str) -> None:
    """GitHub: "SARIF URI scheme http did not match the checkout URI scheme file", and nothing is shown at all."""
    [document] = documents_in(json.dumps(edited(lambda tree: authz(tree).update(shadow_mode=True))), source)
    [run] = sarif_of(findings([document], Expectations()), {}, RULES, "0.1.0")["runs"]
    [result] = run["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri
    assert urlsplit(uri).scheme in ("", "file")


def test_sarif_shows_what_is_ignored_as_suppressed_with_the_reason() -> None:
    [run] = _sarif()["runs"]
    by_rule = {result["ruleId"]: result.get("suppressions") for result in run["results"]}
    assert by_rule == {
        "failure-mode-allow": None,
        "merge-slashes": [{"kind": "external", "justification": "old upstream"}],
    }


def test_every_rule_says_what_why_and_how_to_mend() -> None:
    for name, rule in RULES.items():
        assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name)
        assert rule.title[0].isupper()
        assert rule.why
        assert rule.mend
    assert len({rule.title for rule in ENVOY_RULES}) == len(ENVOY_RULES)
