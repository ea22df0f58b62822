"""Every line about a decision can be joined with the others, and a flood of refusals does not fill the disk."""

import json
from dataclasses import replace
from typing import Any

import pytest

from ott_extauthz.model.facts import Facts
from ott_extauthz.observe.alarms import Alarms
from ott_extauthz.observe.allowance import Allowance
from ott_extauthz.observe.left_out import LeftOut
from ott_extauthz.observe.log import DecisionLog, new_logger
from ott_extauthz.ports import ShadowRecord, UsedListFault
from tests.fakes.clock import FakeClock
from tests.fakes.desk import Desk

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01")
JOINED = ("decision_id", "trace_id", "route", "client_id")


def lines(shown: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shown.splitlines()]


async def test_every_line_about_a_decision_names_it_its_trace_its_route_and_its_client(
    capsys: pytest.CaptureFixture[str],
) -> None:
    desk, log = Desk(), DecisionLog(new_logger("debug"))
    token = desk.token()
    for _ in range(2):
        await desk.ask(desk.facts(("x-ott", token), PARENT))
    allowed, refused = desk.observer.records
    for record in (allowed, refused):
        log.decided(record)
    log.replayed(refused)
    log.shadowed(
        ShadowRecord(
            answer=allowed.decision, would_be=refused.decision, facts=allowed.facts, host=None, path=None, at_ms=0
        )
    )
    told = lines(capsys.readouterr().err)
    assert [line["event"] for line in told] == [
        "check allowed", "check refused", "token replayed", "shadow policy disagrees",
    ]  # fmt: skip
    assert [tuple(line[name] for name in JOINED) for line in told] == [
        (record.decision.decision_id, TRACE, "wallet-debit", "rgs") for record in (allowed, refused, refused, allowed)
    ]
    assert [line.get("reason") for line in told[:3]] == [None, "token_replayed", "token_replayed"]


async def test_allows_are_for_whoever_asked_for_debug_lines(capsys: pytest.CaptureFixture[str]) -> None:
    desk = Desk()
    await desk.ask(desk.facts(("x-ott", desk.token())))
    DecisionLog(new_logger("info")).decided(desk.observer.records[0])
    assert capsys.readouterr().err == ""


async def test_a_flood_of_refusals_fills_no_disk_and_hides_no_replay(capsys: pytest.CaptureFixture[str]) -> None:
    desk, left_out = Desk(), list[LeftOut]()
    room = {what: Allowance(5, desk.clock.monotonic) for what in LeftOut}
    log = DecisionLog(new_logger("info"), room=room, on_left_out=left_out.append)
    token = desk.token()
    for _ in range(2):
        await desk.ask(desk.facts(("x-ott", token)))
    for _ in range(1000):
        log.decided(desk.observer.records[1])
    log.replayed(desk.observer.replays[0])
    told = [line["event"] for line in lines(capsys.readouterr().err)]
    assert told == ["check refused"] * 5 + ["token replayed"]
    assert left_out == [LeftOut.REFUSALS] * 995


async def test_a_flood_of_one_tokens_replays_hides_neither_another_token_nor_another_caller(
    capsys: pytest.CaptureFixture[str],
) -> None:
    desk, left_out = Desk(), list[LeftOut]()
    room = {what: Allowance(5, desk.clock.monotonic) for what in LeftOut}
    alarms = Alarms(desk.clock.monotonic)
    log = DecisionLog(new_logger("info"), room=room, alarms=alarms, on_left_out=left_out.append)
    flooded, stolen = desk.token(), desk.token(jti="s" * 22)
    for token in (flooded, flooded, stolen, stolen):
        await desk.ask(desk.facts(("x-ott", token)))
    flood, theft = desk.observer.replays
    assert isinstance(flood.facts, Facts)
    thief = replace(flood.facts, peer=replace(flood.facts.peer, address="203.0.113.9"))
    for port in range(1000):
        log.replayed(replace(flood, facts=replace(flood.facts, peer=replace(flood.facts.peer, port=port))))
    for record in (theft, theft, replace(flood, facts=thief)):
        log.replayed(record)
    told = lines(capsys.readouterr().err)
    assert len({line["token_id"] for line in told}) == 2
    assert [line["peer_address"] for line in told] == ["10.0.0.7"] * 6 + ["203.0.113.9"]
    assert left_out == [LeftOut.REPLAYS] * 996
    assert len(alarms._told) == 3


async def test_a_store_that_is_down_fills_no_disk_with_a_line_for_every_check(
    capsys: pytest.CaptureFixture[str],
) -> None:
    left_out: list[LeftOut] = []
    room = {what: Allowance(5, FakeClock().monotonic) for what in LeftOut}
    log = DecisionLog(new_logger("info"), room=room, on_left_out=left_out.append)
    for _ in range(500):
        log.store_failed(UsedListFault.CIRCUIT_OPEN)
        log.faulted("RuntimeError")
    assert len(lines(capsys.readouterr().err)) == 5
    assert left_out == [LeftOut.FAULTS] * 995


async def test_a_trace_that_is_none_leaves_nothing_of_it_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    desk = Desk()
    await desk.ask(replace(desk.facts(("traceparent", "00-hunter2-hunter2-01")), envoy_traceparent="hunter2"))
    DecisionLog(new_logger("info")).decided(desk.observer.records[0])
    shown = capsys.readouterr().err
    assert lines(shown)[0]["trace_id"] is None
    assert "hunter2" not in shown
