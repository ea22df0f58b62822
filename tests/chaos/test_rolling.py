"""A short rolling restart, and that what it looks for would be found.

The filter waits longer than shipped, health checks come faster and the drain is shorter: a test must be quick, and a
shared machine must not be mistaken for the product.  ``make rolling`` runs it as shipped.
"""

from collections import Counter
from pathlib import Path

import pytest
import uvloop

from tests.chaos.callers import Call
from tests.chaos.fleet import Kind
from tests.chaos.rolling import Findings, Phase, rows, run, told
from tests.e2e.conftest import envoy  # noqa: F401 - a fixture
from tests.processes import VALKEY, running

REPLAYED = "token_replayed"


@pytest.mark.e2e
def test_servers_of_both_transports_are_restarted_and_nobody_notices(envoy: Path, tmp_path: Path) -> None:  # noqa: F811
    with running(VALKEY, tmp_path / "store") as store:
        drain = {"wait": "1s", "grace": "5s"}
        kind = Kind(transports=("native", "grpcio"), store=store.url, drain=drain, timeout="5s", pace="0.2s", servers=2)
        found = uvloop.run(run(tmp_path, envoy, kind, rate=80, calm=0.2, second_within=1.5))
    assert found.twice == [], told(found)
    assert found.failed == [], told(found)
    assert [phase.name for phase in found.phases].count("restart") == 2
    assert len(found.tokens) > 100, told(found)
    assert all(checks > 10 for checks in found.checks), told(found)


def found_in(
    *calls: Call, starved: tuple[float, float] | None = None, delivered: Counter[str] | None = None
) -> Findings:
    return Findings(
        kind=Kind(transports=("native",), store="redis://127.0.0.1", drain={}),
        rate=1,
        phases=[Phase("restart", 0, 10, (1.0, 2.0))],
        calls=list(calls),
        held_back=0,
        delivered=delivered or Counter(),
        checks=[],
        starved=[starved] if starved else [],
    )


def call(status: int, said: str = "", *, start: float = 5.0, token: int = 1) -> Call:
    return Call(token, is_first=True, start=start, seconds=0.01, status=status, said=said)


def test_two_allowed_calls_with_one_token_are_found() -> None:
    assert found_in(call(200), call(200)).twice == ["token 1"]
    assert found_in(call(200), call(401, REPLAYED)).twice == []


def test_a_token_that_reached_the_service_twice_is_found_whatever_the_callers_were_told() -> None:
    found = found_in(call(200), call(503), delivered=Counter({"digest": 2}))
    assert found.twice == ["digest"]


@pytest.mark.parametrize(
    ("status", "said"),
    [(503, ""), (503, "store_unavailable"), (401, "store_epoch"), (401, "token_expired"), (0, "TimeoutError")],
)
def test_every_answer_but_allowed_and_replayed_is_a_failure(status: int, said: str) -> None:
    found = found_in(call(200), call(status, said))
    assert len(found.failed) == 1
    assert rows(found)[0][4] == "1"


def test_a_failure_is_excused_only_where_the_processor_was_missing() -> None:
    assert found_in(call(503), starved=(4.5, 4.8)).failed == []
    assert found_in(call(503), starved=(4.5, 4.8)).excused == 1
    assert len(found_in(call(503), starved=(1.0, 3.5)).failed) == 1
    assert found_in(call(200), call(200), starved=(4.5, 4.8)).twice == ["token 1"]
