"""The file of API keys under several writers, killed ones, links, and other people's hands."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ott_extauthz.authn.api_key_entry import KeyEntry, instant_text
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.stores import api_key_file
from ott_extauthz.stores.api_key_file import ApiKeyFile, KeyOutlivedError, KeyUnknownError, load_api_keys
from ott_extauthz.stores.keyring import KeyFileError
from ott_extauthz.stores.keyring.files import alone_in
from tests.fakes.api_keys import DAY_MS, made
from tests.fakes.issuer import NOW_MS


def entry(number: int = 1) -> KeyEntry:
    key = made(number)
    return KeyEntry(
        id=key.id, sha256=key.digest.hex(), client_id="rgs",
        created=instant_text(NOW_MS), expires=instant_text(NOW_MS + 90 * DAY_MS),
    )  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "api-keys.yaml"


def test_a_new_file_is_for_its_owner_alone_and_has_no_key(path: Path) -> None:
    ApiKeyFile(path).add(entry())
    assert path.stat().st_mode & 0o777 == 0o600
    assert made().text not in path.read_text()
    assert load_api_keys(path).keys() == {made().id}
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("mode", "kept"), [(0o640, 0o640), (0o644, 0o644), (0o666, 0o644), (0o600, 0o600)])
def test_whoever_may_read_it_still_may_and_nobody_else_may_write(path: Path, mode: int, kept: int) -> None:
    ApiKeyFile(path).add(entry())
    path.chmod(mode)
    ApiKeyFile(path).add(entry(2))
    assert path.stat().st_mode & 0o777 == kept


def test_a_file_that_everybody_may_write_makes_no_keys(path: Path) -> None:
    ApiKeyFile(path).add(entry())
    path.chmod(0o644)
    assert load_api_keys(path)
    path.chmod(0o646)
    with pytest.raises(DocumentError, match="everybody may write"):
        load_api_keys(path)


def test_a_stolen_key_ends_at_once_though_it_was_made_where_the_clock_is_ahead(path: Path) -> None:
    ApiKeyFile(path).add(entry())
    ApiKeyFile(path).end(entry().id, NOW_MS - 120_000)
    [key] = load_api_keys(path).values()
    assert key.is_expired(NOW_MS - 120_000)


def test_concurrent_writers_lose_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_key_file, "WAIT_SECONDS", 90.0)  # a slow disk is no failure here
    ApiKeyFile(path).add(entry(200))
    with ThreadPoolExecutor(8) as pool:
        adding = [pool.submit(ApiKeyFile(path).add, entry(number)) for number in range(20)]
        ending = [pool.submit(ApiKeyFile(path).end, made(200).id, NOW_MS + day * DAY_MS) for day in (1,)]
        for each in (*adding, *ending):
            each.result(100)
    keys = load_api_keys(path)
    assert keys.keys() == {made(number).id for number in (*range(20), 200)}
    assert keys[made(200).id].expires_at_ms == NOW_MS + DAY_MS


def test_a_writer_that_is_killed_before_the_rename_leaves_a_usable_file(path: Path) -> None:
    ApiKeyFile(path).add(entry())
    before = path.read_bytes()
    program = (
        "import os, pathlib, sys\n"
        "pathlib.Path.replace = lambda *_: os._exit(9)\n"
        "from ott_extauthz.stores.api_key_file import ApiKeyFile\n"
        "place = ApiKeyFile(pathlib.Path(sys.argv[1]))\n"
        "place.end(sys.argv[2], 1_795_000_000_000)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path), made().id], check=False, timeout=60)
    assert done.returncode == 9
    assert path.read_bytes() == before
    [left] = [each for each in path.parent.iterdir() if each != path]
    assert left.stat().st_mode & 0o777 == 0o600
    ApiKeyFile(path).add(entry(2))
    assert list(path.parent.iterdir()) == [path], "the next writer tidies up"


def test_a_link_stays_a_link(tmp_path: Path, path: Path) -> None:
    (tmp_path / "real").mkdir()
    real = tmp_path / "real" / "keys.yaml"
    path.symlink_to(real)
    ApiKeyFile(path).add(entry())
    ApiKeyFile(path).add(entry(2))
    assert path.is_symlink()
    assert not real.is_symlink()
    assert len(load_api_keys(path)) == 2


def test_a_file_that_somebody_broke_is_not_written_over(path: Path) -> None:
    path.write_text("keys: [{id: x}]\n")
    with pytest.raises(DocumentError):
        ApiKeyFile(path).add(entry())
    assert path.read_text() == "keys: [{id: x}]\n"


def test_a_key_that_is_there_is_not_added_again(path: Path) -> None:
    ApiKeyFile(path).add(entry())
    with pytest.raises(DocumentError, match="stands twice"):
        ApiKeyFile(path).add(entry())
    assert len(load_api_keys(path)) == 1


def test_a_key_ends_sooner_and_never_later(path: Path) -> None:
    place = ApiKeyFile(path)
    place.add(entry())
    with pytest.raises(KeyOutlivedError):
        place.end(made().id, NOW_MS + 91 * DAY_MS)
    place.end(made().id, NOW_MS)
    with pytest.raises(KeyOutlivedError):
        place.end(made().id, NOW_MS + DAY_MS)
    with pytest.raises(KeyUnknownError):
        place.end(made(2).id, NOW_MS)
    assert load_api_keys(path)[made().id].is_expired(NOW_MS)


def test_who_cannot_have_the_lock_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_key_file, "WAIT_SECONDS", 0.0)
    with alone_in(path.parent, wait_seconds=0), pytest.raises(KeyFileError, match="another process"):
        ApiKeyFile(path).add(entry())


def test_a_missing_file_and_one_that_is_no_text_are_told(path: Path) -> None:
    with pytest.raises(DocumentError, match="cannot be read: No such file"):
        load_api_keys(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DocumentError, match="not UTF-8"):
        load_api_keys(path)
