"""What is in force, and what was not taken, shows: in the log with every problem, for people and for Prometheus."""

import json
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from ott_extauthz.observe.in_force import MOST_LINES, PolicyReport, Report, report_of, show_policies
from ott_extauthz.observe.log import new_logger
from ott_extauthz.observe.metrics import Metrics
from ott_extauthz.observe.reloads import Reloads
from ott_extauthz.policy.document import Policy, policy_from
from ott_extauthz.reload.looks import look_at
from ott_extauthz.reload.source import InForce, Kind, Source
from tests.fakes.desk import POLICY


class Rig:
    """A policy file with everything that watches it."""

    def __init__(self, path: Path) -> None:
        self.path, self.metrics, self.changes = path / "policy.yaml", Metrics(transport="native"), 0
        self.path.write_text(POLICY)
        reloads = Reloads(new_logger("info"), self.metrics)
        reloads.on_change = self.changed
        self.source: Source[Policy] = Source(
            kind=Kind.POLICY, name=str(self.path), files=lambda: [self.path], load=self.load, listener=reloads,
            now_ms=lambda: 1_795_000_000_000, in_force=InForce(self.load(), look_at([self.path]), 1_700_000_000_000),
        )  # fmt: skip

    def load(self) -> Policy:
        return policy_from(self.path.read_text(), "policy.yaml")

    def changed(self) -> None:
        self.changes += 1

    def become(self, text: str) -> Report:
        self.path.write_text(text)
        self.source.reload()
        return report_of([self.source])


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_every_problem_of_a_refused_policy_is_logged_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rig = Rig(tmp_path)
    report = rig.become(POLICY.replace("method", "metod").replace("audience", "audienc"))
    lines = logged(capsys)
    problems = [str(line["problem"]) for line in lines if line["event"] == "problem"]
    assert len(problems) > 5
    assert all(problem.startswith("policy.yaml:") for problem in problems)
    assert lines[0]["event"] == "change refused, what was in force stays"
    assert lines[0]["revision"] == "r1", "the one in force"
    assert report.lines[0] == "policy: revision r1, 4 routes"
    assert report.lines[1].startswith("policy: in force since 2023-11-14T22:13:20.000+00:00, sha256 ")
    assert report.lines[2] == f"policy: a change was refused at 2026-11-18T11:06:40.000+00:00, {len(problems)} problems"
    assert report.lines[3].endswith(problems[0])
    value = rig.metrics.registry.get_sample_value
    assert value("ott_policy_reloads_total", {"policy": "enforced", "result": "refused"}) == 1
    assert rig.changes == 1


def test_a_revision_with_other_content_is_an_alarm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rig = Rig(tmp_path)
    before = rig.source.in_force.fingerprint
    rig.become(POLICY.replace("clients: [rgs]", "clients: [rgs, other]"))
    assert rig.source.in_force.fingerprint != before
    assert [line["level"] for line in logged(capsys)] == ["info", "warning"]
    rig.become(POLICY.replace('"r1"', '"r2"'))
    assert [line["level"] for line in logged(capsys)] == ["info"]


def test_routes_that_come_into_shadow_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rig = Rig(tmp_path)
    rig.become(POLICY.replace('"r1"', '"r2"').replace("    clients: [rgs]\n", "    clients: [rgs]\n    mode: shadow\n"))
    assert logged(capsys)[1]["routes"] == ["wallet-debit"]


def test_a_report_is_bounded_and_survives_the_way_to_the_parent(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    report = rig.become("revision: r2\nroutes:\n" + "  - {name: 1, nonsense: ☃}\n" * 2000)
    assert len(report.lines) < MOST_LINES
    text = msgspec.json.encode(report)
    assert b"\n" not in text
    assert len(text) < 64 * 1024
    assert msgspec.json.decode(text, type=Report) == report


def test_workers_that_disagree_show_both_revisions_and_the_older_time() -> None:
    registry = CollectorRegistry()
    reports = [
        Report(policies=(PolicyReport(policy="enforced", revision=revision, since_ms=since),))
        for revision, since in (("r1", 1000), ("r2", 3000), ("r2", 2000))
    ]
    show_policies(registry, lambda: reports)
    value = registry.get_sample_value
    assert value("ott_policy_info", {"policy": "enforced", "revision": "r1"}) == 1
    assert value("ott_policy_info", {"policy": "enforced", "revision": "r2"}) == 2
    assert value("ott_policy_loaded_timestamp_seconds", {"policy": "enforced"}) == 1
    del reports[0]
    assert value("ott_policy_info", {"policy": "enforced", "revision": "r1"}) is None


def test_a_refused_change_shows_until_it_is_mended_and_of_several_workers_the_worst(tmp_path: Path) -> None:
    rig, registry = Rig(tmp_path), CollectorRegistry()
    reports = [report_of([rig.source]), Report(refused={"policy": 0, "key_set": 2})]
    show_policies(registry, lambda: reports)

    def shown(what: str) -> float | None:
        return registry.get_sample_value("ott_refused_changes", {"what": what})

    assert (shown("policy"), shown("key_set")) == (0, 2)
    reports[0] = rig.become("routes: 7\n")
    assert shown("policy") == 1
    reports[0] = rig.become(POLICY)
    assert shown("policy") == 0
    assert msgspec.json.decode(msgspec.json.encode(reports[0]), type=Report) == reports[0]


def test_a_route_that_comes_with_a_reload_begins_without_replays(tmp_path: Path) -> None:
    """Else the first replay would be the counter's first value, and no `increase` would see it."""
    rig = Rig(tmp_path)
    rig.become(POLICY.replace("wallet-debit", "wallet-new"))
    assert rig.metrics.registry.get_sample_value("ott_replays_total", {"route": "wallet-new"}) == 0
    for outcome, code in (("allow", "OK"), ("deny", "UNAVAILABLE")):
        labels = {"route": "wallet-new", "outcome": outcome, "code": code}
        assert rig.metrics.registry.get_sample_value("ott_checks_total", labels) == 0
