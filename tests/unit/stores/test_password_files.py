"""The store's password: what is in the file, and nothing of it in any complaint."""

from pathlib import Path

import pytest

from ott_extauthz.stores.password_files import PasswordFileError, password_from


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_the_lines_end_is_no_part_of_it(tmp_path: Path, end: str) -> None:
    file = tmp_path / "password"
    file.write_bytes(f" p\u00e4ss word {end}".encode())
    assert password_from(file, "store.password_file") == " p\u00e4ss word "


def test_without_a_file_there_is_none() -> None:
    assert password_from(None, "store.password_file") is None


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file"), (b"", "is empty"), (b"\r\n", "is empty"), (b"secret\xff", "not UTF-8")]
)
def test_what_cannot_be_used_is_named_and_not_quoted(tmp_path: Path, content: bytes | None, why: str) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(PasswordFileError, match=f"^store.sentinel_password_file .*{why}") as caught:
        password_from(file, "store.sentinel_password_file")
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
