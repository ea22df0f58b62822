"""What an operator reads of a server's disk; nothing here decides on a use."""

import hiredis
import pytest

from ott_extauthz.stores.redislist.persistence import persistence_from

FORBIDDEN = hiredis.ReplyError("NOPERM no permissions to run the 'config|get' command")


def _state(**fields: str) -> bytes:
    fine = {"aof_enabled": "0", "rdb_last_bgsave_status": "ok", "aof_last_write_status": "ok"}
    return "".join(f"{name}:{value}\r\n" for name, value in {**fine, **fields}.items()).encode()


@pytest.mark.parametrize(
    ("state", "settings", "told"),
    [
        (_state(), [b"save", b"", b"appendfsync", b"everysec"], "none (a restart moves the fence with or without it)"),
        (_state(), [b"save", b"3600 1", b"appendfsync", b"no"], "snapshots (3600 1)"),
        (_state(aof_enabled="1"), [b"appendfsync", b"always", b"save", b""], "AOF, fsync always"),
        (_state(aof_enabled="1"), [b"appendfsync", b"no", b"save", b"60 1"], "AOF, fsync no and snapshots (60 1)"),
        (_state(aof_enabled="1"), FORBIDDEN, "AOF; the user may not ask for more (CONFIG GET), nor needs to"),
        (_state(), None, "no AOF; the user may not ask for more (CONFIG GET), nor needs to"),
    ],
)
def test_what_is_set_is_told(state: bytes, settings: object, told: str) -> None:
    found = persistence_from(state, settings)
    assert found is not None
    assert (found.text, found.fails) == (f"persistence: {told}", False)


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("aof_last_write_status", "writing the AOF failed"),
        ("rdb_last_bgsave_status", "the last snapshot failed"),
        ("aof_last_bgrewrite_status", "the last rewrite of the AOF failed"),
    ],
)
def test_a_failure_is_a_warning_whatever_is_set(field: str, told: str) -> None:
    found = persistence_from(_state(**{field: "err"}), FORBIDDEN)
    assert found is not None
    assert found.fails
    assert told in found.text


@pytest.mark.parametrize("state", [None, b"", b"nonsense", FORBIDDEN, [b"aof_enabled"]])
def test_what_is_no_answer_tells_nothing(state: object) -> None:
    assert persistence_from(state, None) is None
