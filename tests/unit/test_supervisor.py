"""What a worker says on its standard output, and that nothing of it ends its parent, and so all workers."""

import asyncio
import re
from pathlib import Path

import msgspec
import pytest
import structlog
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from ott_extauthz import supervisor
from ott_extauthz.observe.departures import KEPT_SECONDS
from ott_extauthz.observe.exposition import WORKERS_FOLDER
from ott_extauthz.observe.in_force import Report
from ott_extauthz.supervisor import EXEMPLARS, REPORT, SERVING, Worker, lines_of
from tests.fakes.clock import FakeClock


async def test_a_line_longer_than_is_held_costs_no_other() -> None:
    output = asyncio.StreamReader(limit=100)
    for part in (b"before\n", b"in force " + b"x" * 1000, b"x" * 1000 + b"\n", b"after\n"):
        output.feed_data(part)
    output.feed_eof()
    lines = [line async for line in lines_of(output)]
    assert lines[0] == b"before\n"
    assert lines[-1] == b"after\n"
    assert not any(line.startswith(b"in force") for line in lines)


def test_what_a_worker_says_besides_ends_nothing_and_changes_nothing(tmp_path: Path) -> None:
    logger = structlog.wrap_logger(structlog.PrintLogger(), wrapper_class=structlog.make_filtering_bound_logger(50))
    worker = Worker(config=tmp_path, address="a", environment={}, logger=logger)
    worker._hear((REPORT + msgspec.json.encode(Report(lines=("kept",))).decode()).encode())
    for said in (f"{REPORT}{{", f"{REPORT}[1]", f"{EXEMPLARS}[[1]]", f"{EXEMPLARS}\xff", "\xff\xfe", "", "hello"):
        worker._hear(said.encode("latin-1"))
    assert (worker.report.lines, worker.exemplars, worker.is_serving) == (("kept",), [], False)
    worker._hear(f"{SERVING}\n".encode())
    assert worker.is_serving


def test_lines_that_the_parent_lost_are_in_the_sum_of_the_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WORKERS_FOLDER, str(tmp_path))
    values = MmapedDict(str(tmp_path / "counter_1.db"))  # type: ignore[no-untyped-call]
    for what in ("refusals", "unwritten"):
        key = mmap_key("ott_log_lines_left_out", "ott_log_lines_left_out_total", ["what"], [what], "")
        values.write_value(key, 5.0, 0)  # type: ignore[no-untyped-call]
    values.close()  # type: ignore[no-untyped-call]
    text = supervisor._admin([], None, lost=lambda: 2).metrics("")[0].decode()
    found = re.findall(r'ott_log_lines_left_out_total\{what="(\w+)"\} (\S+)', text)
    assert found == [("refusals", "5.0"), ("unwritten", "7.0")]


def _counted(folder: Path, pid: int, **of_route: float) -> None:
    """Write what a worker has counted, as the client library does."""
    values = MmapedDict(str(folder / f"counter_{pid}.db"))  # type: ignore[no-untyped-call]
    for route, value in of_route.items():
        key = mmap_key("ott_replays", "ott_replays_total", ["route"], [route], "")
        values.write_value(key, value, 0)  # type: ignore[no-untyped-call]
    values.close()  # type: ignore[no-untyped-call]


def test_a_route_that_a_reload_took_away_leaves_the_sum_of_all_workers_in_one_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of one worker's part alone, the sum would fall, and `rate` would count the other's as new: a false alarm."""
    clock = FakeClock()
    monkeypatch.setattr(supervisor, "SystemClock", lambda: clock)
    monkeypatch.setenv(WORKERS_FOLDER, str(tmp_path))
    logger = structlog.wrap_logger(structlog.PrintLogger())
    workers = [Worker(config=tmp_path, address=name, environment={}, logger=logger) for name in "ab"]
    for pid in (1, 2):
        _counted(tmp_path, pid, old=100.0, kept=10.0)
    admin = supervisor._admin(workers, None)

    def scraped(*routes: str | None, later: float = 0) -> list[tuple[str, str]]:
        """Let each worker serve with one more route than `kept`; None serves no more."""
        for worker, route in zip(workers, routes, strict=True):
            worker.is_serving = route is not None
            worker.report = Report(known=None if route is None else {"route": frozenset({"kept", route})})
        clock.advance(round(later * 1000))
        return re.findall(r'ott_replays_total\{route="(\w+)"\} (\S+)', admin.metrics("")[0].decode())

    both, one = [("old", "200.0"), ("kept", "20.0")], [("kept", "20.0")]
    assert scraped("old", "old") == both
    assert scraped("new", "old", later=KEPT_SECONDS) == both, "one worker lags behind the reload"
    assert scraped("new", "new", later=KEPT_SECONDS) == both, "now it is gone, and its last is scraped"
    assert scraped("new", "new", later=KEPT_SECONDS) == one
    assert scraped("new", None, later=1) == one, "one that restarts has no say"
    assert scraped(None, None, later=1) == one, "and while nobody serves it stays as it was"
    assert scraped("old", "old", later=1) == both, "a route that comes back goes on where it was: its files have it"
