"""Files that rotate: read when they change, and a bad moment changes nothing."""

import ssl
from pathlib import Path

import pytest

from ott_extauthz.wire.files_in_use import FilesInUse


class Reading:
    def __init__(self, path: Path) -> None:
        self.path, self.times = path, 0
        self.fails: Exception | None = None

    def __call__(self) -> str:
        self.times += 1
        if self.fails is not None:
            raise self.fails
        return self.path.read_text()


def test_a_file_is_read_again_only_where_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("one")
    read = Reading(path)
    files = FilesInUse([path], read)
    assert [files.current() for _ in range(3)] == ["one"] * 3
    assert read.times == 1
    path.write_text("another")
    assert [files.current() for _ in range(3)] == ["another"] * 3
    assert read.times == 2


@pytest.mark.parametrize("fails", [OSError("busy"), ssl.SSLError("halfway"), ValueError("empty")])
def test_what_cannot_be_read_is_tried_again_though_the_file_looks_the_same(tmp_path: Path, fails: Exception) -> None:
    """A mode or a mount may be mended without a new file."""
    path = tmp_path / "secret"
    path.write_text("one")
    read = Reading(path)
    files = FilesInUse([path], read)
    path.write_text("another")
    read.fails = fails
    assert [files.current() for _ in range(2)] == ["one"] * 2
    read.fails = None
    assert files.current() == "another"


def test_a_file_that_goes_away_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("one")
    files = FilesInUse([path], Reading(path))
    path.unlink()
    assert files.current() == "one"


def test_at_the_start_there_is_nothing_to_fall_back_on(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FilesInUse([tmp_path / "none"], Reading(tmp_path / "none"))
