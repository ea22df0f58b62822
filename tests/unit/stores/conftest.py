"""Real stores for the tests of the Redis used-list: one of each engine for a module, flushed before each test."""

from collections.abc import Iterator

import pytest

from tests.processes import REDIS, VALKEY, Engine, StoreProcess, running


@pytest.fixture(scope="module", params=[VALKEY, REDIS], ids=["valkey", "redis"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.param
    if found.program is None:
        pytest.skip(found.why_not)
    return found


@pytest.fixture(scope="module")
def shared_store(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    with running(engine, tmp_path_factory.mktemp(engine.name)) as started:
        yield started


@pytest.fixture
def store(shared_store: StoreProcess) -> StoreProcess:
    """A store with nothing in it.  For a test that does not stop, reconfigure or promote it."""
    shared_store.command("FLUSHALL")
    return shared_store
