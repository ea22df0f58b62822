"""What a worker says on its standard output, and that nothing of it ends its parent, and so all workers."""

import asyncio
from pathlib import Path

import msgspec
import structlog

from ott_extauthz.observe.in_force import Report
from ott_extauthz.supervisor import EXEMPLARS, REPORT, SERVING, Worker, lines_of


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
