"""The dashboards that the chart ships: what Grafana needs, and that no panel asks for what no server says."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.__main__ import BOARDS, FOLDER, text_of
from dashboards.board import TAG
from ott_extauthz.model.reason import Reason
from tests.dashboards.exposed import exposed
from tests.dashboards.promql import OF_TARGETS, filled, queries, reasons, selectors, sums_by
from tests.prometheus import promtool

NAMES = sorted(BOARDS)
UNITS = {"none", "s", "reqps", "ops", "percentunit"}


@pytest.fixture(params=NAMES)
def board(request: pytest.FixtureRequest) -> dict[str, Any]:
    text = (FOLDER / f"{request.param}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def shown(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


@pytest.mark.parametrize("name", NAMES)
def test_the_files_are_what_the_descriptions_say(name: str) -> None:
    assert (FOLDER / f"{name}.json").read_text(encoding="utf-8") == text_of(BOARDS[name]), "run `make dashboards`"


def test_there_is_no_file_without_a_description() -> None:
    assert sorted(path.stem for path in FOLDER.iterdir()) == NAMES


def test_every_dashboard_has_a_name_of_its_own() -> None:
    assert (
        len({board.uid for board in BOARDS.values()}) == len({board.title for board in BOARDS.values()}) == len(NAMES)
    )


def test_grafana_can_take_it(board: dict[str, Any]) -> None:
    assert board["schemaVersion"] >= 39
    assert 0 < len(board["uid"]) <= 40
    assert "id" not in board  # the database's own, which differs everywhere
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_no_panel_lies_on_another(board: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        columns = range(place["x"], place["x"] + place["w"])
        cells = set(itertools.product(columns, range(place["y"], place["y"] + place["h"])))
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_panel_says_what_it_shows_and_in_what(board: dict[str, Any]) -> None:
    for panel in shown(board):
        assert len(panel["description"]) > 10, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None, panel["title"]
        assert [target["refId"] for target in panel["targets"]] == [*"ABCDE"][: len(panel["targets"])], panel["title"]


def test_the_data_source_is_chosen_in_grafana(board: dict[str, Any]) -> None:
    panels, targets = shown(board), [target for panel in shown(board) for target in panel["targets"]]
    asking = [variable for variable in board["templating"]["list"] if variable["type"] == "query"]
    for one in (*panels, *targets, *asking, *board["annotations"]["list"]):
        assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_its_variables_also_take_series_without_the_label(board: dict[str, Any]) -> None:
    """Outside Kubernetes there is no namespace: "all" must match an absent label."""
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert {"datasource", "namespace", "job"} <= variables.keys()
    for name in variables.keys() & {"namespace", "route"}:
        assert variables[name]["allValue"] == ".*"


def test_all_jobs_are_ours_alone(board: dict[str, Any]) -> None:
    """`up` is a metric of everybody's jobs: "all" must mean those that have our metrics."""
    (job,) = [variable for variable in board["templating"]["list"] if variable["name"] == "job"]
    assert "allValue" not in job


def test_it_leads_to_the_others(board: dict[str, Any]) -> None:
    assert TAG in board["tags"]
    assert [link["tags"] for link in board["links"]] == [[TAG]]
    assert all(link["includeVars"] and link["keepTime"] for link in board["links"])


def test_every_query_holds_to_what_is_chosen_at_the_top(board: dict[str, Any]) -> None:
    for place, expr in queries(board):
        for metric, labels in selectors(expr):
            assert {"namespace", "job"} <= labels or metric == "ALERTS", f"{place}: {metric}"


def test_every_metric_is_one_that_a_server_exposes(board: dict[str, Any]) -> None:
    for place, expr in queries(board):
        asked = selectors(expr)
        assert asked, place
        for metric, labels in asked:
            assert metric in exposed(), f"{place}: {metric}"
            assert labels <= exposed()[metric] | OF_TARGETS, f"{place}: {metric}"


def test_what_can_be_chosen_comes_from_metrics_that_are_there(board: dict[str, Any]) -> None:
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((\w+).*, (\w+)\)", variable["definition"])
            assert found is not None, variable["definition"]
            metric, label = found.groups()
            assert label in exposed()[metric] | OF_TARGETS, variable["name"]


def test_every_label_that_is_summed_by_is_on_its_metrics(board: dict[str, Any]) -> None:
    for place, expr in queries(board):
        labels = set.intersection(*(set(exposed()[metric]) for metric, _ in selectors(expr))) | OF_TARGETS
        assert sums_by(expr) <= labels, place


def test_every_reason_that_is_asked_for_can_be_given(board: dict[str, Any]) -> None:
    for place, expr in queries(board):
        assert reasons(expr) <= {str(reason) for reason in Reason}, place


def test_legends_name_labels_that_are_left(board: dict[str, Any]) -> None:
    for panel in shown(board):
        for target in panel["targets"]:
            wanted = {part.partition("}}")[0] for part in target["legendFormat"].split("{{")[1:]}
            assert wanted <= sums_by(target["expr"]), panel["title"]


def test_prometheus_takes_every_query(board: dict[str, Any], tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:query{number}", "expr": filled(expr), "labels": {"place": place}}
        for number, (place, expr) in enumerate(queries(board))
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    code, said = promtool("check", "rules", file)
    assert code == 0, said
    assert f"{len(rules)} rules found" in said


def test_every_refusal_that_is_our_fault_counts_against_availability() -> None:
    """The panel that explains lost availability names the same reasons as the code that it is measured by."""
    (panel,) = [panel for panel in BOARDS["overview"].panels if panel.title == "Refusals for a fault of ours"]
    from ott_extauthz.model.reason import REASONS, Code  # noqa: PLC0415 - of this case alone

    ours = {str(reason) for reason, meaning in REASONS.items() if meaning.code is Code.UNAVAILABLE}
    assert reasons(panel.queries[0].expr) == ours
