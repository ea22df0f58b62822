"""serve as processes: one address, several addresses, signals, a killed worker, a killed parent."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import F_SETPIPE_SZ, fcntl
from pathlib import Path
from queue import SimpleQueue
from subprocess import Popen

import grpc.aio
import pytest
from envoy.service.auth.v3.external_auth_pb2_grpc import AuthorizationStub

from ott_extauthz.cli import serve as module
from ott_extauthz.observe.in_force import Report
from tests.cli.conftest import Folder, eventually, fetch
from tests.fakes.requests import check_request


@contextmanager
def serving(folder: Folder) -> Iterator[Popen[str]]:
    process = folder.start("serve")
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_one_address_serves_drains_and_leaves_with_zero(folder: Folder, free_port: int, tmp_path: Path) -> None:
    folder.run("keys", "init")
    environment = f"listen: {{check: 'unix://{tmp_path}/c.sock', admin: '127.0.0.1:{free_port}'}}\n"
    folder.configure((tmp_path / "ott.yaml").read_text() + environment)
    with serving(folder) as process:
        await eventually(lambda: fetch(f"http://127.0.0.1:{free_port}/readyz")[0] == 200)
        status, text = fetch(f"http://127.0.0.1:{free_port}/readyz?verbose")
        assert (status, text.splitlines()[:2]) == (200, ["ready", "policy: revision r1, 2 routes"])
        assert "ott_build_info" in fetch(f"http://127.0.0.1:{free_port}/metrics")[1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


async def test_a_log_that_nobody_reads_holds_up_no_check_and_no_leaving(
    folder: Folder, free_port: int, tmp_path: Path
) -> None:
    """A collector that hangs, or a `docker attach` that was suspended, is no reason to refuse anybody."""
    folder.run("keys", "init")
    configuration = (tmp_path / "ott.yaml").read_text()
    listen = f"listen: {{check: 'unix://{tmp_path}/c.sock', admin: '127.0.0.1:{free_port}'}}\n"
    folder.configure(configuration + listen)
    with serving(folder) as process:
        assert process.stderr is not None
        fcntl(process.stderr, F_SETPIPE_SZ, 4096)
        await eventually(lambda: fetch(f"http://127.0.0.1:{free_port}/readyz")[0] == 200)
        async with grpc.aio.insecure_channel(f"unix:{tmp_path}/c.sock") as channel:
            for _ in range(60):  # lines of some 300 bytes each
                response = await AuthorizationStub(channel).Check(check_request(path="/nowhere"), timeout=30)
                assert response.status.code == grpc.StatusCode.PERMISSION_DENIED.value[0]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr.read().count("check refused") in range(5, 30), "what the pipe held"


@pytest.fixture
def two_workers(folder: Folder, free_port: int, tmp_path: Path) -> int:
    """Two workers on Unix sockets; the store is down, which keeps no server from serving."""
    folder.run("keys", "init")
    addresses = f"['unix://{tmp_path}/a.sock', 'unix://{tmp_path}/b.sock']"
    folder.configure(
        (tmp_path / "ott.yaml").read_text()
        + f"listen: {{check: {addresses}, admin: '127.0.0.1:{free_port}'}}\nstore: redis://127.0.0.1:1\n"
    )
    return free_port


async def test_workers_are_started_restarted_and_drained_by_their_parent(folder: Folder, two_workers: int) -> None:
    url = f"http://127.0.0.1:{two_workers}/readyz"
    with serving(folder) as process:
        await eventually(lambda: fetch(url)[0] == 200)
        first = children(process.pid)
        assert len(first) == 2
        os.kill(first[0], signal.SIGKILL)
        await eventually(lambda: fetch(url)[0] == 503 or set(children(process.pid)) != set(first))
        await eventually(lambda: fetch(url)[0] == 200 and len(children(process.pid)) == 2)
        second = children(process.pid)
        assert second != first
        assert fetch(f"http://127.0.0.1:{two_workers}/metrics")[1].count("ott_build_info{") == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert not any(is_alive(pid) for pid in second)
        assert process.stderr is not None
        assert "Fatal Python error" not in process.stderr.read()  # a worker that aborts leaves a core dump


async def test_workers_leave_when_their_parent_is_killed(folder: Folder, two_workers: int) -> None:
    with serving(folder) as process:
        await eventually(lambda: fetch(f"http://127.0.0.1:{two_workers}/readyz")[0] == 200)
        orphans = children(process.pid)
        process.kill()
        await eventually(lambda: not any(is_alive(pid) for pid in orphans))


async def test_a_worker_that_cannot_start_ends_everything_with_one(
    folder: Folder, two_workers: int, tmp_path: Path
) -> None:
    (tmp_path / "b.sock").write_text("not a socket")
    with serving(folder) as process:
        assert process.wait(60) == 1
        assert two_workers
        assert process.stderr is not None
        assert "not a socket" in process.stderr.read()


def test_what_was_in_force_before_a_change_is_not_told_to_the_parent_after_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A policy and a key set change in two threads; the parent would show, and judge series by, the older word."""
    asked, answer = threading.Event(), threading.Event()

    def before() -> Report:
        asked.set()
        assert answer.wait(30)
        return Report(lines=("before",))

    def after() -> Report:
        return Report(lines=("after",))

    threads = [threading.Thread(target=module._report_to_parent, args=(each,)) for each in (before, after)]
    threads[0].start()
    assert asked.wait(30)
    threads[1].start()
    threads[1].join(0.05)  # time enough to be told first, if nothing holds it
    answer.set()
    for thread in threads:
        thread.join(30)
    told = capsys.readouterr().out.splitlines()
    assert ["after" in line for line in told] == [False, True]


def test_a_parent_that_reads_nothing_holds_up_no_check_that_follows_a_key_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers a scrape of ten thousand routes, say; a report of as many names is larger than a pipe."""
    is_told, is_read = threading.Event(), threading.Event()
    told: list[str] = []

    def slow(line: str) -> None:
        told.append(line)
        is_told.set()
        assert is_read.wait(30)

    monkeypatch.setattr(module, "_tell_parent", slow)
    now = iter(("old", "new"))
    reporter = module.Reporter(lambda: Report(lines=(next(now),)), on_fault=told.append)
    reporter.want()
    assert is_told.wait(30)
    for _ in range(3):
        reporter.want()  # one that waited for the reader would never come back
    is_told.clear()
    is_read.set()
    assert is_told.wait(30)
    assert ['"new"' in line for line in told] == [False, True], "three changes are one report, and it is the latest"


def test_a_report_that_breaks_is_counted_and_the_next_one_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    faults: SimpleQueue[str] = SimpleQueue()
    monkeypatch.setattr(module, "_tell_parent", lambda _: (_ for _ in ()).throw(BrokenPipeError))
    reporter = module.Reporter(Report, on_fault=faults.put)
    for _ in range(2):
        reporter.want()
        assert faults.get(timeout=30) == "BrokenPipeError"
