"""Real stores for the tests of used-lists: one of each kind for a module, emptied before each test."""

from collections.abc import Iterator

import pytest

from tests.postgres import PostgresProcess, postgres
from tests.processes import REDIS, VALKEY, Engine, StoreProcess, running
from tests.sql_lists import SqlStore, of_server


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


@pytest.fixture(scope="module")
def shared_server() -> Iterator[PostgresProcess]:
    with postgres() as server:
        yield server


@pytest.fixture
def shared(shared_server: PostgresProcess) -> SqlStore:
    """A database without our tables.  For a test that does not stop or reconfigure its server."""
    shared_server.sql("DROP TABLE IF EXISTS ott_used, ott_counters, ott_fence")
    return of_server(shared_server)


@pytest.fixture
def own_server() -> Iterator[PostgresProcess]:
    with postgres() as server:
        yield server
