"""Keys in the metrics: what is there now, and no series of a key that is gone."""

import json
from dataclasses import replace

import pytest

from ott_extauthz.issuer.key_change import KeyChange, KeyState
from ott_extauthz.observe.exposition import exposition
from ott_extauthz.observe.issuer_log import IssuerLog
from ott_extauthz.observe.issuer_metrics import IssuerMetrics
from ott_extauthz.observe.listeners import IssuerListeners
from ott_extauthz.observe.log import new_logger
from tests.fakes.clock import START_MS, FakeClock
from tests.fakes.issuing import Remembering

FIRST = KeyChange(
    ring="", kid="k1", before=None, after=KeyState.ACTIVE, made_ms=START_MS, rotation_due_ms=START_MS + 60_000
)


def series(metrics: IssuerMetrics, name: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels.values()): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == name
    }


def test_ages_follow_the_states_and_a_retired_key_leaves_no_series() -> None:
    clock = FakeClock()
    metrics = IssuerMetrics(clock.now_ms)
    metrics.key_changed(FIRST)
    clock.advance(50_000)
    second = KeyChange(ring="", kid="k2", before=None, after=KeyState.NEXT, made_ms=clock.now_ms())
    metrics.key_changed(second)
    clock.advance(10_000)
    ages = "ott_signing_key_age_seconds"
    assert series(metrics, ages) == {("k1", "active"): 60, ("k2", "next"): 10}
    metrics.key_changed(replace(FIRST, before=KeyState.ACTIVE, after=KeyState.RETIRING))
    metrics.key_changed(replace(second, before=KeyState.NEXT, after=KeyState.ACTIVE))
    assert series(metrics, ages) == {("k1", "retiring"): 60, ("k2", "active"): 10}
    metrics.key_changed(replace(FIRST, before=KeyState.RETIRING, after=KeyState.RETIRED))
    assert series(metrics, ages) == {("k2", "active"): 10}
    assert series(metrics, "ott_key_rotations_total") == {("default",): 1}


def test_a_late_rotation_shows_by_how_much() -> None:
    clock = FakeClock()
    metrics = IssuerMetrics(clock.now_ms)
    metrics.key_changed(FIRST)
    metrics.key_changed(replace(FIRST, ring="eu-a", kid="k9", rotation_due_ms=None))
    late = "ott_key_rotation_overdue_seconds"
    clock.advance(60_000)
    assert series(metrics, late) == {("default",): 0, ("eu-a",): 0}
    clock.advance(90_000)
    assert series(metrics, late) == {("default",): 90, ("eu-a",): 0}
    assert b"ott_key_rotation_overdue_seconds" in exposition(metrics.registry)[0]


def test_changes_and_failures_are_lines_and_what_was_there_at_the_start_is_for_debugging(
    capsys: pytest.CaptureFixture[str],
) -> None:
    metrics, remembering = IssuerMetrics(lambda: 0), Remembering()
    listeners = IssuerListeners(metrics, IssuerLog(new_logger("info")), remembering, on_broken=metrics.faulted)
    listeners.key_changed(replace(FIRST, is_news=False))
    listeners.key_changed(replace(FIRST, before=KeyState.NEXT))
    listeners.ring_failed("eu-a", "keys/ring.json: is missing")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    for line in lines:
        line.pop("timestamp")
    changed = {"ring": "default", "kid": "k1", "before": "next", "after": "active"}
    assert lines == [
        {"event": "signing key changed", "level": "info"} | changed,
        {"event": "key ring failed", "level": "error", "ring": "eu-a", "problem": "keys/ring.json: is missing"},
    ]
    assert series(metrics, "ott_key_ring_failures_total") == {("eu-a",): 1}
    assert (len(remembering.key_changes), remembering.ring_failures) == (2, [("eu-a", "keys/ring.json: is missing")])
