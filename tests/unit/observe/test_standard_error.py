"""A log that nobody reads holds up nobody, loses a bounded number of lines, and says how many."""

import io
import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import F_SETPIPE_SZ, fcntl

import pytest
import typer

from ott_extauthz.observe.log import new_logger
from ott_extauthz.observe.standard_error import StandardError, unhindered

SMALLEST = 4096
LINE = "x" * 1023 + "\n"
PATIENCE = 30.0


@contextmanager
def pipe() -> Iterator[tuple[io.BufferedReader, int]]:
    """A pipe that holds four lines, and nobody reads yet."""
    reading, writing = os.pipe()
    fcntl(writing, F_SETPIPE_SZ, SMALLEST)
    with os.fdopen(reading, "rb") as reader:
        yield reader, writing


def test_what_is_written_arrives_whole_and_in_order_and_leaving_waits_for_it() -> None:
    with pipe() as (reader, writing):
        ours, read = StandardError(writing), list[bytes]()
        collector = threading.Thread(target=lambda: read.extend(reader))
        collector.start()
        for number in range(500):
            ours.write(f"{number} \udc80\n")
        ours.leave(PATIENCE)
        collector.join(PATIENCE)
        assert read == [b"%d \\udc80\n" % number for number in range(500)]


def test_a_collector_that_stops_reading_blocks_nobody_and_the_log_says_what_it_lost() -> None:
    with pipe() as (reader, writing):
        ours, lost = StandardError(writing, most=10), list[int]()
        ours.on_lost = lambda: lost.append(1)
        for _ in range(200):
            ours.write(LINE)  # one that waited would never come back: nobody reads
        assert 200 - len(lost) in range(10, 10 + SMALLEST // len(LINE) + 2), "the queue, the pipe, and one between"
        read: list[bytes] = []
        collector = threading.Thread(target=lambda: read.extend(reader))
        collector.start()
        ours.leave(PATIENCE)
        collector.join(PATIENCE)
        told = [json.loads(line) for line in read if line.startswith(b"{")]
        assert sum(each["count"] for each in told) == len(lost)
        assert {(each["event"], each["level"]) for each in told} == {("log lines left out", "warning")}
        assert read.count(LINE.encode()) == 200 - len(lost)


def test_leaving_does_not_wait_for_a_collector_that_reads_no_more() -> None:
    with pipe() as (_, writing):
        ours = StandardError(writing)
        for _ in range(20):
            ours.write(LINE)
        ours.leave(0.01)
        assert ours._thread.is_alive(), "it still hangs, and nobody waits for it"


def test_a_collector_that_is_gone_breaks_nothing_and_is_counted() -> None:
    with pipe() as (reader, writing):
        ours, lost = StandardError(writing), list[int]()
        ours.on_lost = lambda: lost.append(1)
        reader.close()
        for _ in range(7):
            ours.write(LINE)
        ours.leave(PATIENCE)
        assert len(lost) == 7


def test_a_pipe_that_another_process_made_non_blocking_loses_nothing() -> None:
    with pipe() as (reader, writing):
        os.set_blocking(writing, False)
        ours, read, lost = StandardError(writing), list[bytes](), list[int]()
        ours.on_lost = lambda: lost.append(1)
        for _ in range(20):
            ours.write(LINE)
        collector = threading.Thread(target=lambda: read.extend(reader))
        collector.start()
        ours.leave(PATIENCE)
        collector.join(PATIENCE)
        assert (len(read), lost) == (20, [])


def test_all_of_pythons_standard_error_goes_that_way_for_as_long_as_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    with pipe() as (reader, writing), os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        with unhindered() as ours:
            assert ours is not None
            assert id(sys.stderr) == id(ours)
            new_logger("info").warning("said", by="us")
        assert sys.stderr is stream
        line = json.loads(reader.readline())
        assert (line["event"], line["by"], line["level"]) == ("said", "us", "warning")


def test_who_tries_bytes_to_learn_what_a_stream_takes_silences_no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """``typer.echo`` tries; a writer that choked on them was a server that never logged again."""
    with pipe() as (reader, writing), os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        with unhindered():
            typer.echo("not among listen.check", err=True)
        assert reader.readline() == b"not among listen.check\n"


def test_a_collector_that_stops_reading_is_kept_no_more_than_so_much_text_for() -> None:
    with pipe() as (_, writing):
        ours = StandardError(writing, most_characters=10 * SMALLEST)
        for _ in range(200):
            ours.write(LINE)
        waiting = 10 * SMALLEST // len(LINE) + SMALLEST // len(LINE)
        assert 200 - ours.lost in range(waiting - 5, waiting + 2)


def test_room_comes_back_with_what_is_written() -> None:
    with pipe() as (reader, writing):
        ours = StandardError(writing)
        collector = threading.Thread(target=reader.read)
        collector.start()
        for _ in range(50):
            ours.write(LINE)
        ours.leave(PATIENCE)
        collector.join(PATIENCE)
        assert (ours.lost, ours._characters) == (0, 0)


def test_a_finalizer_that_warns_while_a_lost_line_is_counted_waits_for_nobody() -> None:
    with pipe() as (_, writing):
        ours = StandardError(writing, most=0)

        def lose_while_one_is_counted() -> None:
            with ours._counting:
                ours.write(LINE)  # what a collection of garbage would run here, in this very thread

        losing = threading.Thread(target=lose_while_one_is_counted, daemon=True)
        losing.start()
        losing.join(PATIENCE)
        assert (losing.is_alive(), ours.lost) == (False, 1)


@pytest.mark.parametrize("stream", [None, io.StringIO()], ids=["closed", "no file"])
def test_where_standard_error_is_no_file_it_stays_what_it_is(
    stream: io.StringIO | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Descriptor 2 may be anything then: a store's connection, for one."""
    monkeypatch.setattr(sys, "stderr", stream)
    with unhindered() as ours:
        assert (ours, sys.stderr) == (None, stream)
