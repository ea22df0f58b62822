"""A file of the service is read whole, or not at all."""

from pathlib import Path

import pytest

from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.reload import bounded as room
from ott_extauthz.reload.bounded import bounded
from ott_extauthz.settings import load
from ott_extauthz.stores.api_key_file import load_api_keys


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_BYTES", 100)


def test_a_file_of_just_that_size_is_read(tmp_path: Path, small: None) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100)
    assert bounded(tmp_path / "file") == b"x" * 100
    (tmp_path / "file").write_bytes(b"x" * 101)
    with pytest.raises(OSError, match="File too large") as told:
        bounded(tmp_path / "file")
    assert told.value.filename == str(tmp_path / "file")  # some tell which of several files it was


@pytest.mark.usefixtures("small")
def test_a_device_without_an_end_stands_in_for_no_file() -> None:
    """Or a link to it, in place of a mounted file, would take all memory of a server that starts, or reloads."""
    zero = Path("/dev/zero")
    with pytest.raises(DocumentError, match=r"/dev/zero: cannot be read: File too large"):
        load_api_keys(zero)
    with pytest.raises(DocumentError, match=r"/dev/zero: cannot be read: File too large"):
        load(zero, {})
