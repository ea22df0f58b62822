"""The audit: one whole line per decision, every field, no secret; and what happens when it cannot be written."""

import json
import os
from pathlib import Path

import pytest

from ott_extauthz.model.decision import Allow
from ott_extauthz.model.facts import Malformed
from ott_extauthz.model.reason import Reason
from ott_extauthz.observe.audit import MEANINGS, AuditFile
from ott_extauthz.observe.metrics import Metrics
from ott_extauthz.policy.document import policy_from
from ott_extauthz.ports import AuditError, ShadowRecord
from tests.fakes.desk import POLICY, Desk
from tests.full_disk import fill
from tests.leaks import leaked


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


async def test_no_text_of_a_caller_acts_on_a_terminal_or_ends_a_line(tmp_path: Path) -> None:
    """JSON lets pass what a terminal takes for an escape (C1), or shows backwards (bidi), or some readers split at."""
    audit, _, desk = await written(tmp_path)
    evil = "casino:\u202eann\u2066\u2028\U000e0041"
    await desk.ask(desk.facts(("x-ott", desk.token(sub=evil)), principal="spiffe://a/\x9b2J\x7f\x85é"))
    for record in desk.audit.records:
        audit.write(record)
    [line] = (tmp_path / "audit" / "a.jsonl").read_text(encoding="utf-8").splitlines()
    assert line.isprintable()
    assert json.loads(line)["peer_principal"] == "spiffe://a/\x9b2J\x7f\x85é"
    assert "é" in line, "what people read stays what it is"


async def test_a_full_disk_is_an_error_where_the_audit_is_required(tmp_path: Path) -> None:
    for required in (True, False):
        audit, metrics, desk = await written(tmp_path / str(required), required=required)
        await desk.ask(desk.facts())
        fill(audit)
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


async def test_shadow_stands_in_fields_of_its_own(tmp_path: Path) -> None:
    audit, metrics, desk = await written(tmp_path)
    desk.policy = policy_from(POLICY.replace("    clients: [rgs]\n", "    clients: [rgs]\n    mode: shadow\n"), "p")
    await desk.ask(desk.facts(("x-ott", desk.token(scope="x"))))
    await desk.ask(desk.facts(("x-ott", desk.token())))
    for record in desk.audit.records:
        audit.write(record)
        metrics.decided(record)
    answer = desk.audit.records[0].decision
    assert isinstance(answer, Allow)
    assert answer.would_be is not None
    shadow = ShadowRecord(
        answer=answer, would_be=answer.would_be, facts=desk.facts(), host="wallet.api", path="/x", at_ms=0
    )
    audit.write_shadow(shadow)
    metrics.shadowed(shadow)
    refused, allowed, second = map(json.loads, (tmp_path / "audit" / "a.jsonl").read_text().splitlines())
    assert (refused["outcome"], refused["shadow_outcome"], refused["shadow_reason"]) == (
        "allow",
        "deny",
        "scope_missing",
    )
    assert (refused["client_id"], refused["token_state"], refused["reason"]) == ("rgs", "unspent", None)
    assert (allowed["shadow_outcome"], allowed["shadow_policy_revision"], allowed["token_state"]) == (
        "allow",
        "r1",
        None,
    )
    assert list(second) == list(MEANINGS)
    assert (second["outcome"], second["shadow_outcome"], second["decision_id"]) == (None, "deny", answer.decision_id)
    labels = {"route": "wallet-debit", "outcome": "deny", "code": "SCOPE_DENIED"}
    value = metrics.registry.get_sample_value
    assert value("ott_shadow_decisions_total", labels | {"by": "route"}) == 1
    assert value("ott_shadow_decisions_total", labels | {"by": "policy"}) == 1
    assert value("ott_shadow_disagreements_total", {"route": "wallet-debit", "outcome": "deny"}) == 1


async def test_a_shadow_line_that_cannot_be_written_is_counted_and_raises_nothing(tmp_path: Path) -> None:
    audit, metrics, desk = await written(tmp_path, required=True)
    await desk.ask(desk.facts())
    fill(audit)
    decision = desk.audit.records[0].decision
    audit.write_shadow(
        ShadowRecord(answer=decision, would_be=decision, facts=desk.facts(), host=None, path=None, at_ms=0)
    )
    assert count(metrics, "ott_audit_failures_total") == 1


async def test_a_mandate_is_never_spent_and_its_actor_is_named(tmp_path: Path) -> None:
    desk = Desk(policy=POLICY.replace("credential: one_time_token", "credential: mandate", 1))
    details = [{"type": "mandate", "cidr": "10.0.0.0/8"}]
    now = desk.clock.now_ms()
    claims = {"authorization_details": details, "act": {"sub": "jackpot"}, "auth_time": now / 1000}
    token = desk.issuer.token(desk.issuer.claims(now, **claims), {"typ": "at+jwt"})
    await desk.ask(desk.facts(("authorization", f"Bearer {token}")))
    audit = AuditFile(tmp_path / "a.jsonl", required=True, metrics=Metrics(transport="native"))
    audit.write(desk.audit.records[0])
    line = json.loads((tmp_path / "a.jsonl").read_text())
    assert (line["outcome"], line["token_state"], line["actor"]) == ("allow", "unspent", "jackpot")


async def test_a_token_as_method_or_in_the_path_is_not_written(tmp_path: Path) -> None:
    audit, _, desk = await written(tmp_path)
    token, key = desk.token(), "a" * 49
    path = f"/v1/wallets/{token}/debit"
    for facts in (desk.facts(method=token), desk.facts(path=path), desk.facts(path=path, host=f"{key}.api")):
        await desk.ask(facts)
    for record in desk.audit.records:
        audit.write(record)
    text = (tmp_path / "audit" / "a.jsonl").read_text()
    assert [(line["method"], line["host"], line["path"]) for line in map(json.loads, text.splitlines())] == [
        ("~masked~", None, None),
        ("POST", "wallet.api", "/v1/wallets/~masked~/debit"),
        ("POST", "~masked~.api", "/v1/wallets/~masked~/debit"),
    ]
    assert not leaked([token, key], text)
