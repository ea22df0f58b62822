"""A flood of replays is bounded, whoever floods with whatever, and hides nobody else's first alarm."""

import hashlib
import io
import sys
from dataclasses import replace

import pytest

from ott_extauthz.model.decision import Deny
from ott_extauthz.model.facts import Facts, Thumbprint
from ott_extauthz.observe import alarms as module
from ott_extauthz.observe.alarms import OF_A_CALLER, Alarms
from ott_extauthz.observe.allowance import Allowance
from ott_extauthz.observe.left_out import LeftOut
from ott_extauthz.observe.log import DecisionLog, new_logger
from ott_extauthz.ports import CheckRecord
from tests.fakes.desk import Desk

SHARED = 5
"""Replays in a second that all callers share."""


class Flooded:
    """A log, and replays of any token from any caller."""

    def __init__(self, written: io.StringIO, replay: CheckRecord, desk: Desk) -> None:
        self.clock, self._written, self._replay = desk.clock, written, replay
        self.alarms = Alarms(desk.clock.monotonic)
        self.log = DecisionLog(
            new_logger("info"), room={LeftOut.REPLAYS: Allowance(SHARED, desk.clock.monotonic)}, alarms=self.alarms
        )

    def replay(self, token: str, *, address: str = "10.0.0.7", principal: str = "spiffe://bank.example/rgs") -> int:
        """Replay a token; returns how many lines that wrote."""
        record, (facts, decision) = self._replay, (self._replay.facts, self._replay.decision)
        assert isinstance(facts, Facts)
        assert isinstance(decision, Deny)
        assert decision.token is not None
        certificate = Thumbprint(principal.encode().ljust(32, b".")[:32])
        peer = replace(facts.peer, address=address, principal=principal, certificate=certificate)
        digest = hashlib.sha256(token.encode()).digest()
        decision = replace(decision, token=replace(decision.token, digest=digest))
        self._written.seek(0)
        self._written.truncate()
        self.log.replayed(replace(record, facts=replace(facts, peer=peer), decision=decision))
        return self._written.getvalue().count("\n")


@pytest.fixture
async def flooded(monkeypatch: pytest.MonkeyPatch) -> Flooded:
    desk, written = Desk(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    token = desk.token()
    for _ in range(2):
        await desk.ask(desk.facts(("x-ott", token)))
    return Flooded(written, desk.observer.replays[0], desk)


def test_a_client_that_replays_ever_new_tokens_of_its_own_writes_no_endless_log(flooded: Flooded) -> None:
    assert sum(flooded.replay(f"own-{number}") for number in range(2_000)) == SHARED + 1
    flooded.clock.advance(1_000)
    assert sum(flooded.replay(f"more-{number}") for number in range(2_000)) == SHARED + 1


def test_nor_does_one_that_comes_from_many_addresses(flooded: Flooded) -> None:
    lines = sum(flooded.replay(f"{number}", address=f"10.0.{number // 250}.{number % 250}") for number in range(2_000))
    assert lines == SHARED + OF_A_CALLER


def test_nor_one_with_all_the_addresses_of_an_ipv6_subscriber(flooded: Flooded) -> None:
    assert sum(flooded.replay(f"{number}", address=f"2001:db8::{number:x}") for number in range(2_000)) == SHARED + 1
    assert flooded.replay("another", address="2001:db8:0:1::1") == 1, "a neighbour is another"


def test_a_flood_of_one_callers_own_tokens_hides_no_other_callers_first_alarm(flooded: Flooded) -> None:
    for number in range(2_000):
        flooded.replay(f"own-{number}", address=f"10.0.{number // 250}.{number % 250}")
    thief = {"address": "203.0.113.9", "principal": "spiffe://bank.example/thief"}
    assert flooded.replay("stolen", **thief) == 1
    assert flooded.replay("stolen", **thief) == 0, "it is told already"


def test_a_flood_from_one_address_hides_no_other_address_of_the_same_caller(flooded: Flooded) -> None:
    """Where callers have no certificate, or share one, the address is all there is."""
    for number in range(2_000):
        flooded.replay(f"own-{number}")
    assert flooded.replay("stolen", address="203.0.113.9") == 1


def test_an_alarm_that_found_no_room_is_told_when_there_is_some(flooded: Flooded) -> None:
    for number in range(2_000):
        flooded.replay(f"own-{number}")
    assert flooded.replay("late") == 0
    for number in range(2_000):
        flooded.replay("flood", address=f"10.1.{number // 250}.{number % 250}")
    flooded.clock.advance(1_000)
    assert sum(flooded.replay("own-0", address="10.0.0.99") for _ in range(SHARED)) == SHARED, "all that is shared"
    assert flooded.replay("late") == 1


def test_what_is_remembered_is_bounded_and_what_is_forgotten_has_room_again(
    flooded: Flooded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 50)
    for number in range(500):
        flooded.replay(f"{number}", address=f"pipe-{number}", principal=f"spiffe://bank.example/{number}")
    remembered = (flooded.alarms._told, flooded.alarms._places, flooded.alarms._callers)
    assert [len(each) for each in remembered] == [50, 50, 50]
    assert flooded.replay("0", address="pipe-0", principal="spiffe://bank.example/0") == 1
