"""The audit's file: moved, deleted, swapped, full, turned; and no line lost or written twice whatever happens."""

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ott_extauthz.observe.audit_file import FollowedFile, Rotation
from ott_extauthz.observe.issuer_metrics import IssuerMetrics
from ott_extauthz.observe.line_file import LineFile
from ott_extauthz.observe.metrics import Metrics
from ott_extauthz.observe.standard_output import StandardOutput
from ott_extauthz.ports import AuditError

SIZE = 170
"""Of a file here: five lines."""


class Counts:
    def __init__(self) -> None:
        self.written = self.failed = 0
        self.is_stuck = False

    def audit_written(self) -> None:
        self.written += 1

    def audit_failed(self) -> None:
        self.failed += 1

    def audit_stays(self, *, is_stuck: bool) -> None:
        self.is_stuck = is_stuck


class Folder:
    """An audit's folder, a clock that stands still, and who hears of trouble."""

    def __init__(self, path: Path, *, keep: int | None = None) -> None:
        self.path = path / "a.jsonl"
        self.now = 0.0
        self.told: list[str | None] = []
        self.counts = Counts()
        rotation = None if keep is None else Rotation(size=SIZE, keep=keep)
        self.file = FollowedFile(
            self.path, mode=0o640, rotation=rotation, tell=self.told.append, monotonic=lambda: self.now
        )
        self.lines = LineFile(self.file, counts=self.counts)
        self.next = 0

    def write(self, count: int = 1) -> None:
        for _ in range(count):
            self.lines.write({"n": self.next, "of": "the audit, a line"}, required=True)
            self.next += 1

    def read(self, name: str = "a.jsonl") -> list[int]:
        return [json.loads(line)["n"] for line in (self.path.parent / name).read_text().splitlines()]

    def everything(self) -> list[int]:
        """All numbers in all files, the oldest first."""
        names = sorted((name.name for name in self.path.parent.iterdir()), key=_age, reverse=True)
        return [number for name in names for number in self.read(name)]


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _age(name: str) -> int:
    last = name.rpartition(".")[2]
    return int(last) if last.isdecimal() else 0


def test_a_file_that_was_moved_is_begun_anew_on_the_operators_word(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(2)
    folder.path.rename(tmp_path / "a.jsonl.moved")
    folder.write()
    folder.lines.reopen()
    folder.write()
    assert (folder.read("a.jsonl.moved"), folder.read(), folder.told) == ([0, 1, 2], [3], [])
    assert folder.path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("is_moved", [True, False], ids=["moved", "deleted"])
def test_nobody_says_a_word_and_it_is_noticed_within_a_second(tmp_path: Path, *, is_moved: bool) -> None:
    folder = Folder(tmp_path)
    folder.write()
    if is_moved:
        folder.path.rename(tmp_path / "a.jsonl.1")
    else:
        folder.path.unlink()
    folder.write()
    folder.now += 1
    folder.write()
    assert folder.read() == [2]
    assert not is_moved or folder.read("a.jsonl.1") == [0, 1]


def test_looking_costs_one_look_in_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(tmp_path, keep=3)
    looks: list[Path] = []
    real = Path.lstat

    def counted(path: Path) -> os.stat_result:
        looks.append(path)
        return real(path)

    monkeypatch.setattr(Path, "lstat", counted)
    folder.write(4)
    assert looks == []
    folder.now += 1
    folder.write()
    assert len(looks) == 1


def test_a_storm_of_hangups_opens_nothing_that_is_open(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    held = folder.file._descriptor
    before = _open_files()
    for _ in range(1000):
        folder.lines.reopen()
        folder.write()
    assert (folder.file._descriptor, _open_files()) == (held, before)
    assert folder.read() == list(range(1000))
    for _ in range(100):
        folder.path.unlink()
        folder.lines.reopen()
    assert _open_files() == before


def test_full_files_are_turned_and_no_line_is_lost_or_doubled(tmp_path: Path) -> None:
    folder = Folder(tmp_path, keep=50)
    folder.write(100)
    assert folder.everything() == list(range(100))
    assert all(file.stat().st_size <= SIZE for file in tmp_path.iterdir())
    assert folder.counts.written == 100


def test_what_is_kept_is_bounded_and_what_is_beyond_is_nobodys_to_delete(tmp_path: Path) -> None:
    for name in ("a.jsonl.4", "a.jsonl.10", "a.jsonl.gz", "b.jsonl.1"):
        (tmp_path / name).write_text('{"n": -1}\n')
    folder = Folder(tmp_path, keep=3)
    folder.write(100)
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {"a.jsonl", *(f"a.jsonl.{n}" for n in (1, 2, 3, 4, 10)), "a.jsonl.gz", "b.jsonl.1"}
    assert folder.read("a.jsonl.4") == folder.read("a.jsonl.10") == folder.read("b.jsonl.1") == [-1]
    kept = [number for name in ("a.jsonl.3", "a.jsonl.2", "a.jsonl.1", "a.jsonl") for number in folder.read(name)]
    assert kept == list(range(kept[0], 100))


def test_a_gap_is_filled_before_anything_is_replaced(tmp_path: Path) -> None:
    folder = Folder(tmp_path, keep=3)
    (tmp_path / "a.jsonl.1").write_text('{"n": -1}\n')
    (tmp_path / "a.jsonl.3").write_text('{"n": -3}\n')
    folder.write(6)
    assert (folder.read("a.jsonl.2"), folder.read("a.jsonl.3")) == ([-1], [-3])


def test_a_line_larger_than_a_file_is_written_whole(tmp_path: Path) -> None:
    folder = Folder(tmp_path, keep=2)
    for _ in range(3):
        folder.lines.write({"n": 1, "long": "x" * 2 * SIZE}, required=True)
    assert [folder.read(name) for name in ("a.jsonl", "a.jsonl.1", "a.jsonl.2")] == [[1], [1], [1]]


def test_a_file_that_another_moved_is_not_turned_as_well(tmp_path: Path) -> None:
    folder = Folder(tmp_path, keep=3)
    folder.write(5)
    folder.path.rename(tmp_path / "a.jsonl.moved")
    folder.path.write_text("")
    folder.write()
    assert (folder.read("a.jsonl.moved"), folder.read()) == ([0, 1, 2, 3, 4], [5])
    assert not (tmp_path / "a.jsonl.1").exists()


def test_a_file_emptied_in_place_is_not_taken_for_full(tmp_path: Path) -> None:
    folder = Folder(tmp_path, keep=3)
    folder.write(5)
    os.truncate(folder.path, 0)
    folder.now += 1
    folder.write(2)
    assert [file.name for file in tmp_path.iterdir()] == ["a.jsonl"]


def _link(path: Path) -> None:
    path.symlink_to(path.parent / "precious")


@pytest.mark.parametrize(
    "swap",
    [
        pytest.param(_link, id="link"),
        pytest.param(lambda path: path.symlink_to("/dev/null"), id="link-to-nowhere"),
        pytest.param(os.mkfifo, id="pipe"),
        pytest.param(lambda path: path.mkdir(), id="folder"),
        pytest.param(lambda path: (path.write_text(""), path.chmod(0o400)), id="read-only"),
    ],
)
def test_what_was_put_in_its_place_leads_nowhere_and_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swap: object
) -> None:
    assert callable(swap)
    folder = Folder(tmp_path, keep=3)
    (tmp_path / "precious").write_text("data")
    folder.write()
    folder.path.rename(tmp_path / "moved")
    swap(folder.path)
    if folder.path.is_file() and not folder.path.is_symlink():  # root may write whatever the mode says
        _forbid_opening(monkeypatch)
    for _ in range(3):
        folder.lines.reopen()
        folder.write(3)
        folder.now += 1
    assert folder.read("moved") == list(range(10))
    assert (tmp_path / "precious").read_text() == "data"
    assert len(folder.told) == 1
    assert folder.told[0]
    monkeypatch.undo()
    folder.path.rename(tmp_path / "away")
    folder.write()
    assert (folder.read(), folder.told[1:]) == ([10], [None])


def _forbid_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)


def test_turning_without_permission_goes_on_in_the_full_file_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path, keep=3)
    attempts: list[Path] = []

    def refuse(path: Path, _: Path) -> Path:
        attempts.append(path)
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        folder.write(20)
        assert len(attempts) == 1
        folder.now += 1
        folder.write(20)
        assert (len(attempts), folder.told) == (2, ["Permission denied"])
    folder.now += 1
    folder.write(1)
    assert folder.told == ["Permission denied", None]
    assert (folder.read("a.jsonl.1"), folder.read()) == (list(range(40)), [40])


def test_a_disk_that_is_full_while_turning_costs_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(tmp_path, keep=3)
    folder.write(5)

    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        folder.write(10)
        folder.now += 1
        folder.write()
    assert [file.name for file in tmp_path.iterdir()] == ["a.jsonl.1"]
    folder.now += 1
    folder.write()
    assert (folder.read("a.jsonl.1"), folder.read()) == (list(range(16)), [16])
    assert folder.told == ["No space left on device", None]


def test_a_line_torn_before_the_start_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"n": 7, "o')
    Folder(tmp_path).write()
    assert (tmp_path / "a.jsonl").read_text().splitlines()[1].startswith('{"n":0')


def test_an_operators_link_is_followed_to_the_file_and_its_rotation_is_there(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "a").mkdir()
    (tmp_path / "elsewhere" / "real.jsonl").touch()
    (tmp_path / "a" / "a.jsonl").symlink_to(tmp_path / "elsewhere" / "real.jsonl")
    folder = Folder(tmp_path / "a", keep=1)
    folder.write(6)
    assert {file.name for file in (tmp_path / "elsewhere").iterdir()} == {"real.jsonl", "real.jsonl.1"}


def test_a_device_is_not_turned(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").symlink_to("/dev/null")
    Folder(tmp_path).write()
    with pytest.raises(OSError, match="no regular file"):
        Folder(tmp_path, keep=1)


def test_a_line_after_the_end_reaches_no_other_file(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.lines.close()
    other = os.open(tmp_path / "other", os.O_WRONLY | os.O_CREAT)  # takes the number that is free now
    folder.now += 1
    folder.lines.reopen()
    with pytest.raises(AuditError):
        folder.write()
    os.close(other)
    assert (tmp_path / "other").read_text() == ""


def test_an_output_that_nobody_reads_fails_lines_and_holds_up_none(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr("ott_extauthz.observe.standard_output.PATIENCE_MS", 0)
    target = StandardOutput()
    os.dup2(writing, target._descriptor)
    counts = Counts()
    lines = LineFile(target, counts=counts)
    text = "x" * 9000
    for _ in range(20):
        lines.write({"n": text}, required=False)
    with pytest.raises(AuditError, match="nobody reads"):
        lines.write({"n": text}, required=True)
    assert counts.written > 3
    os.set_blocking(reading, False)
    taken = b"".join(iter(lambda: _taken(reading), b""))
    lines.write({"n": "after"}, required=True)
    taken += os.read(reading, 65536)
    whole = [line for line in taken.split(b"\n") if line.endswith(b"}")]
    assert len(whole) == counts.written
    assert json.loads(whole[-1]) == {"n": "after"}
    os.close(reading)
    with pytest.raises(AuditError, match="Broken pipe"):
        lines.write({"n": "gone"}, required=True)
    lines.close()
    os.close(writing)


def test_without_a_standard_output_nothing_is_written_to_what_has_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(OSError, match="no standard output"):
        LineFile.at("-", mode=0o640, counts=Counts())


def _taken(reading: int) -> bytes:
    try:
        return os.read(reading, 65536)
    except BlockingIOError:
        return b""


@pytest.mark.parametrize(
    ("counts", "name"),
    [
        (partial(Metrics, transport="native"), "ott_audit_rotation_failing"),
        (partial(IssuerMetrics, lambda: 0), "ott_issuer_audit_rotation_failing"),
    ],
    ids=["check server", "issuer"],
)
def test_a_file_that_cannot_be_turned_shows_until_it_can(
    counts: Callable[[], Metrics | IssuerMetrics], name: str, tmp_path: Path
) -> None:
    """A folder in the place of `.1`, a read-only volume, a permission: no line is lost, and the disk fills."""
    path, told, metrics = tmp_path / "a.jsonl", list[str | None](), counts()
    lines = LineFile.at(path, mode=0o640, counts=metrics, rotation=Rotation(size=20, keep=1), tell=told.append)
    (tmp_path / "a.jsonl.1" / "in the way").mkdir(parents=True)
    value = metrics.registry.get_sample_value
    assert value(name) == 0
    for _ in range(2):
        lines.write({"n": "fifteen bytes"}, required=True)
    assert (value(name), len(told)) == (1, 1)
    (tmp_path / "a.jsonl.1" / "in the way").rmdir()
    (tmp_path / "a.jsonl.1").rmdir()
    lines.reopen()
    assert (value(name), told[1:]) == (0, [None])
    lines.close()
