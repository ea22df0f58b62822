"""One rig for each transport and store, started once and kept together on one xdist worker."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rig import MEMORY, Rig, started_rig
from tests.processes import VALKEY, running

RIGS = [(transport, store) for store in ("memory", "redis") for transport in ("native", "grpcio")]


def rigs(*stores: str) -> list[Any]:
    """The rigs as parameters: all of them, or those on some stores."""
    return [
        pytest.param(
            (transport, store), id=f"{transport}-{store}", marks=pytest.mark.xdist_group(f"e2e-{transport}-{store}")
        )
        for transport, store in RIGS
        if store in (stores or ("memory", "redis"))
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a case on every rig, or on those that it names with ``@pytest.mark.parametrize("rig", …, indirect=True)``."""
    if "rig" not in metafunc.fixturenames:
        return
    if any(mark.args[0] == "rig" for mark in metafunc.definition.iter_markers("parametrize")):
        return
    metafunc.parametrize("rig", rigs(), indirect=True, scope="session")


@pytest.fixture(scope="session")
def envoy() -> Path:
    """The real Envoy.  ``make test`` and CI always have one; only a bare ``pytest`` may do without."""
    named = os.environ.get("OTT_ENVOY")
    found = shutil.which(named or "envoy")
    if found is not None:
        return Path(found).absolute()
    if named or os.environ.get("CI"):
        pytest.fail(f"no Envoy at OTT_ENVOY={named}; `make test` sets one up")
    pytest.skip("no envoy on PATH and OTT_ENVOY is not set; run `make test`")


@pytest.fixture(scope="session")
def rig(request: pytest.FixtureRequest, envoy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    transport, store = request.param
    if store == "memory":
        with started_rig(transport=transport, store=MEMORY, victim_store=None, envoy=envoy) as started:
            yield started
        return
    folder = tmp_path_factory.mktemp("valkey")
    with (
        running(VALKEY, folder / "main") as main,
        running(VALKEY, folder / "victim") as victim,
        started_rig(transport=transport, store=main.url, victim_store=victim, envoy=envoy) as started,
    ):
        yield started
