"""A ring in a folder, with a clock that stands where it is set."""

import os
from pathlib import Path

import pytest

from ott_extauthz.stores.keyring import FileRing, Place, Rotation, init_ring
from tests.fakes.clock import START_MS, FakeClock
from tests.fakes.issuing import Remembering

ROTATION = Rotation(every_ms=100_000, publish_before_ms=10_000, retire_after_ms=20_000)
BY_HAND = Rotation(every_ms=0, publish_before_ms=10_000, retire_after_ms=20_000)


@pytest.fixture(autouse=True)
def _no_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flushing to a busy disk takes most of these tests' time, and none of them pulls the plug."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(directory=tmp_path / "keys")
    init_ring(place, now_ms=START_MS)
    return place


def ring_at(place: Place, clock: FakeClock, rotation: Rotation = ROTATION) -> tuple[FileRing, Remembering]:
    listener = Remembering()
    return FileRing("", place, rotation=rotation, clock=clock, listener=listener), listener
