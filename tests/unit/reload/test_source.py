"""A file that changes under a running server: taken whole and settled, or not at all."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.reload.looks import look_at
from ott_extauthz.reload.source import UNENDED_LOOKS, Failure, InForce, Kind, Result, Shown, Source


class Told:
    """Remembers how reloads ended."""

    def __init__(self) -> None:
        self.results: list[Result] = []

    def reloaded(self, source: Shown, result: Result, before: InForce[Any]) -> None:
        self.results.append(result)


class File:
    """A source over one file whose text is its value; `bad` does not load."""

    def __init__(self, path: Path, text: str = "one\n") -> None:
        self.path, self.loads, self.told, self.taken = path, 0, Told(), list[str]()
        self.while_loading: Callable[[], object] = lambda: None
        path.write_text(text)
        self.source: Source[str] = Source(
            kind=Kind.POLICY, name="policy", files=lambda: [path], load=self.load, now_ms=lambda: 7,
            listener=self.told, in_force=InForce(text, look_at([path]), 1), take=self.taken.append,
        )  # fmt: skip

    def load(self) -> str:
        self.loads += 1
        text = self.path.read_text()
        self.while_loading()
        if "bad" in text:
            raise DocumentError([Problem("policy.yaml", 3, 5, "routes", "bad")])
        if "bug" in text:
            raise RecursionError
        return text

    def polls(self, count: int) -> str:
        for _ in range(count):
            self.source.poll()
        return self.source.current()

    @property
    def failure(self) -> Failure | None:
        return self.source.in_force.failure


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "policy.yaml")


def swap(path: Path, text: str) -> None:
    new = path.with_name("new")
    new.write_text(text)
    new.rename(path)


def test_a_change_is_taken_once_it_looks_the_same_twice(file: File) -> None:
    swap(file.path, "two\n")
    assert file.polls(1) == "one\n"
    assert file.polls(1) == "two\n"
    assert (file.source.in_force.since_ms, file.taken, file.told.results) == (7, ["two\n"], [Result.LOADED])
    file.polls(30)
    assert file.loads == 1


def test_half_a_file_is_not_taken_while_it_grows(file: File) -> None:
    """Half of a policy can be a policy with a restriction less: `clients` stands in the half that is not there yet."""
    for length in range(1, 40):
        file.path.write_text("x\n" * length)
        assert file.polls(1) == "one\n"
    assert file.loads == 0
    assert file.polls(1) == "x\n" * 39


def test_a_file_cut_off_inside_a_line_has_to_stand_still_for_long(file: File) -> None:
    file.path.write_text("two\nthr")
    assert file.polls(UNENDED_LOOKS) == "one\n"
    file.path.write_text("two\nthree\n")
    assert file.polls(2) == "two\nthree\n"
    file.path.write_text("no line break at its end")
    assert file.polls(UNENDED_LOOKS + 1) == "no line break at its end"


def test_json_says_itself_where_it_ends(file: File) -> None:
    file.source.ends_itself = True
    file.path.write_text("{}")
    assert file.polls(2) == "{}"


def test_a_file_that_changes_while_it_is_read_is_read_again(file: File) -> None:
    file.path.write_text("two\n")
    file.while_loading = lambda: file.path.write_text("bad\n") and None
    assert not file.source.reload()
    assert file.source.current() == "one\n"
    assert file.told.results == []
    file.while_loading = lambda: None
    file.path.write_text("three\n")
    assert file.source.reload()
    assert file.source.current() == "three\n"


def test_bad_content_changes_nothing_and_is_told_once_per_content(file: File) -> None:
    for _ in range(2):
        swap(file.path, "bad\n")
        assert file.polls(40) == "one\n"
    assert file.told.results == [Result.REFUSED]
    assert file.failure == Failure(7, (Problem("policy.yaml", 3, 5, "routes", "bad"),))
    swap(file.path, "bad again\n")
    file.polls(40)
    assert file.told.results == [Result.REFUSED] * 2
    assert file.source.in_force.since_ms == 1


def test_the_good_content_that_came_back_clears_the_failure_without_a_load(file: File) -> None:
    swap(file.path, "bad\n")
    file.polls(3)
    swap(file.path, "one\n")
    file.polls(3)
    assert (file.told.results, file.failure, file.loads) == ([Result.REFUSED, Result.UNCHANGED], None, 1)


def test_a_touched_file_is_no_change(file: File) -> None:
    os.utime(file.path, ns=(1, 1))
    swap(file.path, "one\n")
    file.polls(30)
    assert (file.loads, file.told.results) == (0, [])


def test_the_same_size_in_the_same_tick_is_still_a_change(file: File) -> None:
    found = file.path.stat()
    file.polls(3)
    file.path.write_text("two\n")
    os.utime(file.path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert file.polls(3) == "two\n"


def test_a_configmaps_symlink_swap_is_a_change(tmp_path: Path) -> None:
    for name in ("..1", "..2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policy.yaml").write_text(f"{name}\n")
    (tmp_path / "..data").symlink_to("..1")
    file = File(tmp_path / "..1" / "policy.yaml", "..1\n")
    link = tmp_path / "policy.yaml"
    link.symlink_to("..data/policy.yaml")
    file.path = link
    file.source.files = lambda: [link]
    file.source.reload()
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    assert file.polls(2) == "..2\n"


def gone(path: Path) -> None:
    path.unlink()


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def huge(path: Path) -> None:
    os.truncate(path, 2**40)


@pytest.mark.parametrize(
    ("break_it", "complaint"),
    [
        (gone, "cannot be read: No such file or directory"),
        (directory, "not a regular file"),
        (fifo, "not a regular file"),
        (device, "not a regular file"),
        (loop, "cannot be read: Too many levels of symbolic links"),
        (huge, "larger than"),
    ],
)
def test_what_is_no_file_keeps_the_old_policy(file: File, break_it: Callable[[Path], None], complaint: str) -> None:
    break_it(file.path)
    assert file.polls(UNENDED_LOOKS + 2) == "one\n"
    assert file.told.results == [Result.REFUSED]
    assert file.failure is not None
    assert complaint in str(file.failure.problems[0])
    assert file.loads == 0


def test_an_unreadable_file_keeps_the_old_policy(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    file.path.write_text("two\n")
    monkeypatch.setattr("ott_extauthz.reload.looks.os.open", refused)
    file.polls(3)
    assert file.failure is not None
    assert "Permission denied" in str(file.failure.problems[0])


def test_a_bug_in_our_reading_keeps_the_old_policy(file: File) -> None:
    swap(file.path, "bug\n")
    assert file.polls(3) == "one\n"
    assert file.failure is not None
    assert str(file.failure.problems[0]) == "policy: cannot be judged: RecursionError"


def test_a_file_of_somebody_else_is_no_policy(file: File, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A symlink bent to a file in /tmp, whose owner would decide everything from then on."""
    theirs = tmp_path / "theirs"
    theirs.write_text("everything is public\n")
    if os.geteuid() == 0:
        os.chown(theirs, 12345, 12345)
    else:
        monkeypatch.setattr("ott_extauthz.reload.ownership.os.geteuid", lambda: 12345)
        file.source.in_force = InForce("one\n", look_at([Path("/etc/passwd")]), 1)
    file.path.unlink()
    file.path.symlink_to(theirs)
    assert file.polls(3) == "one\n"
    assert file.failure is not None
    assert "neither root's" in str(file.failure.problems[0])


def test_a_file_that_everybody_may_write_is_no_policy(file: File) -> None:
    file.path.write_text("two\n")
    file.path.chmod(0o666)
    assert file.polls(3) == "one\n"
    assert file.failure is not None
    assert "everybody may write it" in str(file.failure.problems[0])
    file.path.chmod(0o644)
    assert file.polls(3) == "two\n"
    file.path.chmod(0o600)
    assert file.polls(3) == "two\n"
    assert file.told.results == [Result.REFUSED, Result.LOADED, Result.UNCHANGED]


def test_an_operator_who_asks_is_answered_at_once(file: File) -> None:
    file.path.write_text("cut off, and meant")
    file.source.reload()
    assert file.source.current() == "cut off, and meant"
    file.source.reload()
    assert file.told.results == [Result.LOADED, Result.UNCHANGED]
    file.path.write_text("bad\n")
    file.source.reload()
    file.source.reload()
    assert file.told.results[2:] == [Result.REFUSED] * 2, "who asks again wants to hear it again"


def test_a_file_that_somebody_else_may_write_by_the_time_it_is_loaded_is_not_taken(file: File) -> None:
    """The owner was looked at, the same content was read; what is in force must be what both looks saw."""
    swap(file.path, "two\n")
    file.while_loading = lambda: file.path.chmod(0o666)
    assert file.polls(2) == "one\n"
    file.while_loading = lambda: None
    assert file.polls(5) == "one\n"
    assert file.failure is not None
    assert "everybody may write it" in file.failure.problems[0].message
