"""The audit: one whole line per decision, every field, no secret; and what happens when it cannot be written."""

import json
import os
from pathlib import Path

import pytest

from ott_extauthz.model.facts import Malformed
from ott_extauthz.model.reason import Reason
from ott_extauthz.observe.audit import MEANINGS, AuditFile
from ott_extauthz.observe.metrics import Metrics
from ott_extauthz.ports import AuditError
from tests.fakes.desk import Desk


def count(metrics: Metrics, name: str) -> float:
    value = metrics.registry.get_sample_value(name)
    assert value is not None
    return value


async def written(tmp_path: Path, *, required: bool = True) -> tuple[AuditFile, Metrics, Desk]:
    metrics = Metrics(transport="native")
    return AuditFile(tmp_path / "audit" / "a.jsonl", required=required, metrics=metrics), metrics, Desk()


async def test_every_line_has_every_field_in_order(tmp_path: Path) -> None:
    audit, metrics, desk = await written(tmp_path)
    token = desk.token()
    for facts in (desk.facts(("x-ott", token)), desk.facts(("x-ott", token)), desk.facts(path="/x?secret=1")):
        await desk.ask(facts)
    await desk.checker.check(Malformed(Reason.REQUEST_MALFORMED), deadline=desk.clock.monotonic() + 1)
    for record in desk.audit.records:
        audit.write(record)
    text = (tmp_path / "audit" / "a.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [list(line) for line in lines] == [list(MEANINGS)] * 4
    assert [line["outcome"] for line in lines] == ["allow", "deny", "deny", "deny"]
    assert [line["reason"] for line in lines] == [None, "token_replayed", "route_unknown", "request_malformed"]
    assert [line["token_state"] for line in lines] == ["spent", "spent", None, None]
    assert lines[0]["at"].endswith("+00:00")
    assert token not in text
    assert "secret" not in text
    assert count(metrics, "ott_audit_records_total") == 4


async def test_a_full_disk_is_an_error_where_the_audit_is_required(tmp_path: Path) -> None:
    for required in (True, False):
        audit, metrics, desk = await written(tmp_path / str(required), required=required)
        await desk.ask(desk.facts())
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, audit._file)
        os.close(full)
        if required:
            with pytest.raises(AuditError, match="No space left"):
                audit.write(desk.audit.records[0])
        else:
            audit.write(desk.audit.records[0])
        assert count(metrics, "ott_audit_failures_total") == 1
        assert count(metrics, "ott_audit_records_total") == 0


async def test_a_line_after_a_torn_one_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audit, _, desk = await written(tmp_path)
    await desk.ask(desk.facts())
    real = os.write
    writes = iter([lambda fd, data: real(fd, data[:7]), None])

    def torn(fd: int, data: memoryview) -> int:
        write = next(writes)
        if write is None:
            raise OSError(28, "No space left on device")
        return int(write(fd, data))

    monkeypatch.setattr(os, "write", torn)
    with pytest.raises(AuditError):
        audit.write(desk.audit.records[0])
    monkeypatch.undo()
    audit.write(desk.audit.records[0])
    lines = (tmp_path / "audit" / "a.jsonl").read_text().splitlines()
    assert len(lines) == 2
    assert json.loads(lines[1])["v"] == 1


async def test_the_file_is_not_for_everybody(tmp_path: Path) -> None:
    await written(tmp_path)
    assert (tmp_path / "audit" / "a.jsonl").stat().st_mode & 0o007 == 0
