"""Rings are kept running: one whose work dies is counted and started again, never silent."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from ott_extauthz.bootstrap.rings import (
    NobodyListens,
    jwks_max_age_seconds,
    keep_running,
    place_of,
    ring_settings,
    rings_from,
    rotation_of,
    running_rings,
)  # fmt: skip
from ott_extauthz.ports import Signer
from ott_extauthz.sections.issuer import Issuer
from ott_extauthz.sections.rings import KeyDirectory
from ott_extauthz.settings import load
from ott_extauthz.stores.keyring import init_keys
from tests.fakes.clock import START_MS, FakeClock


class Dying:
    """A ring whose work dies twice, and then ends."""

    jwks = b""
    runs = 0

    @property
    def signer(self) -> Signer:
        raise NotImplementedError

    async def run(self) -> None:
        self.runs += 1
        if self.runs < 3:
            raise ConnectionError("it says something secret")


class Lasting(Dying):
    is_cancelled = False

    def __init__(self) -> None:
        self.is_running = asyncio.Event()

    async def run(self) -> None:
        self.is_running.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.is_cancelled = True


async def test_a_ring_that_dies_is_counted_by_type_and_runs_again() -> None:
    ring, faults = Dying(), list[str]()
    await keep_running(ring, on_fault=faults.append, restart_seconds=0)
    assert (ring.runs, faults) == (3, ["ConnectionError", "ConnectionError"])


async def test_all_rings_run_until_the_issuer_leaves() -> None:
    rings = [Lasting(), Lasting()]
    life = running_rings(rings, on_fault=lambda _: None)
    await anext(life)
    for ring in rings:
        await asyncio.wait_for(ring.is_running.wait(), 30)
    with pytest.raises(StopAsyncIteration):
        await anext(life)
    assert [ring.is_cancelled for ring in rings] == [True, True]


def configured(folder: Path, text: str) -> Issuer:
    (folder / "ott.yaml").write_text(f"issuer: {{url: 'https://i', {text}}}")
    issuer = load(folder / "ott.yaml", {}).issuer
    assert issuer is not None
    return issuer


def test_a_ring_takes_from_the_issuer_what_it_does_not_say_itself(tmp_path: Path) -> None:
    issuer = configured(
        tmp_path,
        "passphrase_file: p, read_only: true, rings: {a: keys/a, b: {directory: /b, passphrase_file: q, "
        "read_only: false}}",
    )
    rings = ring_settings(issuer).items()
    places = {name: place_of(settings, issuer) for name, settings in rings if isinstance(settings, KeyDirectory)}
    assert {name: (one.directory, one.passphrase_file, one.is_read_only) for name, one in places.items()} == {
        "": (tmp_path / "keys", tmp_path / "p", True),
        "a": (tmp_path / "keys/a", tmp_path / "p", True),
        "b": (Path("/b"), tmp_path / "q", False),
    }


def test_the_defaults_leave_no_gap(tmp_path: Path) -> None:
    issuer = configured(tmp_path, "keys: k")
    rotation = rotation_of(issuer)
    assert (rotation.every_ms, rotation.publish_before_ms, rotation.retire_after_ms) == (0, 600_000, 420_000)
    assert 2 * 1000 * jwks_max_age_seconds(issuer) <= rotation.publish_before_ms


def test_a_copied_key_does_not_sign_for_another_region(tmp_path: Path) -> None:
    init_keys(tmp_path / "keys", now_ms=START_MS)
    shutil.copytree(tmp_path / "keys", tmp_path / "eu")
    issuer = Issuer(url="https://i", keys=tmp_path / "keys", rings={"eu-a": KeyDirectory(directory=tmp_path / "eu")})
    problems: list[Any] = []
    rings_from(issuer, clock=FakeClock(), listener=NobodyListens(), source="ott.yaml", problems=problems)
    assert [str(problem) for problem in problems] == [
        "ott.yaml: issuer.rings.eu-a: has a key of ring default; each ring has its own"
    ]
