"""A minute of chaos; and that the suite finds what it looks for, once a safeguard is gone."""

import asyncio
from pathlib import Path

import pytest

from tests.chaos.report import told
from tests.chaos.run import SLEPT_THROUGH, Plan, Report, run
from tests.chaos.sentinel import Sentinels
from tests.chaos.single import OnePrimary
from tests.chaos.topology import Topology
from tests.processes import VALKEY

pytestmark = pytest.mark.timeout(300)
CALM = 1.0


def tormented(topology: Topology, folder: Path, *faults: str, without: tuple[str, ...] = ()) -> Report:
    plan = Plan(seconds=0, seed=3, calm=CALM, only=faults, once=True, sabotages=without)
    return asyncio.run(run(topology, folder / "run", plan))


def one_primary(folder: Path) -> Topology:
    return OnePrimary(VALKEY, folder, appendonly=True)


def test_no_token_is_accepted_twice_whatever_happens(tmp_path: Path) -> None:
    faults = ("FLUSHALL", "restart with stale data", "replies dropped", "Check server kill -9")
    report = tormented(one_primary(tmp_path), tmp_path, *faults)
    findings = report.findings
    assert findings.twice == [], told(report)
    assert findings.wrongly == [], told(report)
    assert findings.late == [], told(report)
    assert findings.accepted > 500, told(report)
    assert findings.tried["check"] > 1000, told(report)
    assert findings.tried["list"] > 5000, told(report)


def test_a_store_without_a_fence_is_found_out(tmp_path: Path) -> None:
    report = tormented(one_primary(tmp_path), tmp_path, "FLUSHALL", without=("no-fence",))
    assert len(report.findings.twice) > 10, told(report)


def test_a_store_that_does_not_know_its_own_write_is_found_out(tmp_path: Path) -> None:
    report = tormented(one_primary(tmp_path), tmp_path, "replies dropped", without=("no-nonce",))
    assert report.findings.wrongly, told(report)
    assert report.findings.twice == [], told(report)


def test_a_server_that_trusts_an_old_primary_for_too_long_is_found_out(tmp_path: Path) -> None:
    report = tormented(
        Sentinels(VALKEY, tmp_path, waits=False), tmp_path, SLEPT_THROUGH, without=("no-lease", "no-watch")
    )
    assert len(report.findings.twice) > 10, told(report)
