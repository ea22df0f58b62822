"""Attacks on what holds a SQLite file's processes together: the log, the locks, and a transaction that was left behind.

Two processes on one file but on different logs each take the other's writes for a loss, and set the fence in turns;
worse, each could accept what the other one has accepted.
"""

import asyncio
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import Use, UsedListError
from ott_extauthz.stores.sqllist.errors import ReplacedError
from ott_extauthz.stores.sqllist.judging import Seen
from ott_extauthz.stores.sqllist.sqlite import SqliteDatabase, SqliteSession
from ott_extauthz.stores.sqllist.witness import Witness
from tests.fakes.clock import SkewedClock
from tests.sql_lists import SqlStore, Worker, sql_listed, sqlite_at, workers
from tests.used_lists import BOUNDS, FIRST, USED, Outcomes, a_use, replay_of, settings_for

ROOT = Path(__file__).parents[3]
TIMEOUT = 4.0


@pytest.fixture
def own_store(tmp_path: Path) -> SqlStore:
    return sqlite_at(tmp_path / "used.db")


def path_of(store: SqlStore) -> Path:
    assert store.path is not None
    return store.path


def log_of(store: SqlStore, suffix: str = "-wal") -> Path:
    path = path_of(store)
    return path.with_name(path.name + suffix)


def delete_log(store: SqlStore) -> None:
    for suffix in ("-wal", "-shm"):
        log_of(store, suffix).unlink()


async def heard(worker: Worker, use: Use) -> str:
    worker.tell(use)
    return await asyncio.to_thread(worker.hear)


async def fences_of(used_list: Outcomes, worker: Worker, store: SqlStore) -> set[str]:
    """Let two processes spend in turns; return the identities that the file had meanwhile."""
    identities = set()
    for _ in range(6):
        await used_list.mark_used(a_use(), timeout=TIMEOUT)
        identities.add(identity_of(store))
        await heard(worker, a_use())
        identities.add(identity_of(store))
    return identities


def identity_of(store: SqlStore) -> str:
    """Read it from the witness: to look into the database here would touch the locks that are being tried."""
    return Witness(path_of(store)).path.read_text().split()[0]


async def test_a_log_deleted_under_a_running_list_is_one_fence_and_not_one_at_every_turn(own_store: SqlStore) -> None:
    """``rm used.db*`` is no single step: between two of them somebody may open what is left."""
    async with sql_listed(own_store) as used_list:
        assert await used_list.mark_used(a_use(), timeout=TIMEOUT) is FIRST
        delete_log(own_store)
        with workers(own_store.url, 1) as (worker,):
            assert len(await fences_of(used_list, worker, own_store)) <= 2


async def test_a_list_that_opens_takes_no_lock_away_from_another_one_of_its_process(own_store: SqlStore) -> None:
    """POSIX: whoever closes a file loses its process's locks on it; the last one out, by the locks, deletes the log."""
    async with sql_listed(own_store) as one, sql_listed(own_store):
        assert await one.mark_used(a_use(), timeout=TIMEOUT) is FIRST
        with workers(own_store.url, 1) as (leaving,):
            assert await heard(leaving, a_use()) == "FIRST_USE"
            log = log_of(own_store).stat().st_ino
            leaving.end()
        assert log_of(own_store).exists()
        assert log_of(own_store).stat().st_ino == log
        with workers(own_store.url, 1) as (worker,):
            assert len(await fences_of(one, worker, own_store)) == 1


async def test_two_processes_on_different_logs_do_not_both_accept_a_token(
    own_store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deleted log held nothing (all was written back), so that the file looks whole to one who comes without it."""
    finish, use, others = SqliteSession._finish, a_use(), list[Worker]()

    def other_one() -> str:
        others.append(Worker(own_store.url))
        assert others[0].hear() == "ready"
        others[0].tell(replay_of(use))
        return others[0].hear()

    async with sql_listed(settings_for(own_store.url, timeout="4s")) as used_list:
        assert await used_list.mark_used(a_use(), timeout=TIMEOUT) is FIRST
        await tidied(own_store)
        meanwhile: list[asyncio.Task[str]] = []

        async def late(self: SqliteSession, seen: Seen, *, has_written: bool) -> None:
            if has_written and not meanwhile:
                delete_log(own_store)
                meanwhile.append(asyncio.create_task(asyncio.to_thread(other_one)))
                await asyncio.wait(meanwhile, timeout=3)
            await finish(self, seen, has_written=has_written)

        monkeypatch.setattr(SqliteSession, "_finish", late)
        outcomes = [await outcome_of(used_list, use), await meanwhile[0]]
        outcomes += [await outcome_of(used_list, replay_of(use)), await heard(others[0], replay_of(use))]
    others[0].end(kill=True)
    assert outcomes.count("FIRST_USE") <= 1, outcomes


async def tidied(store: SqlStore) -> None:
    """Have all of the log written back into the file."""
    async with a_session(store) as session:
        await session.tidy()


@asynccontextmanager
async def a_session(store: SqlStore) -> AsyncIterator[SqliteSession]:
    database = SqliteDatabase(settings_for(store.url), BOUNDS, SkewedClock())
    session = await database.open()
    yield session
    await session.drop()
    await database.close()


async def outcome_of(used_list: Outcomes, use: Use) -> str:
    try:
        return (await used_list.mark_used(use, timeout=TIMEOUT)).name
    except UsedListError as error:
        return error.token_state.name


async def test_a_checkpoint_that_was_given_up_is_no_fence(own_store: SqlStore) -> None:
    """The driver's thread goes on writing to the file; until it has ended nobody may look at the file's stamp."""
    async with sql_listed(own_store) as used_list:
        assert await used_list.mark_used(a_use(), timeout=TIMEOUT) is FIRST
    identity = identity_of(own_store)
    for number in range(20):
        async with a_session(own_store) as session:
            await session.spend([a_use() for _ in range(50)])
            tidying = asyncio.create_task(session.tidy())
            await asyncio.sleep(number / 4000)
            tidying.cancel()
    async with sql_listed(own_store) as used_list:
        assert await used_list.mark_used(a_use(), timeout=TIMEOUT) is FIRST
    assert identity_of(own_store) == identity


async def test_a_spend_that_was_given_up_before_its_commit_is_never_committed(
    own_store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its caller was told that the token is unspent, and may use it."""
    hold = asyncio.Event()
    spent = SqliteSession._spent

    async def slow(self: SqliteSession, uses: list[Use], seen: Seen) -> Any:
        try:
            return await spent(self, uses, seen)
        finally:
            await hold.wait()

    async with sql_listed(settings_for(own_store.url, timeout="1s")) as used_list:
        assert await used_list.mark_used(a_use(), timeout=TIMEOUT) is FIRST
        use = a_use()
        monkeypatch.setattr(SqliteSession, "_spent", slow)
        assert await outcome_of(used_list, use) == "UNSPENT"
        monkeypatch.undo()
        hold.set()
        assert await used_list.mark_used(replay_of(use), timeout=TIMEOUT) is FIRST


async def test_a_commit_that_takes_too_long_is_no_fence_and_its_use_counts(
    own_store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed, is_committing = SqliteSession._committed, asyncio.Event()

    async def slow(self: SqliteSession, seen: Seen, *, has_written: bool) -> None:
        is_committing.set()
        await asyncio.sleep(1.5)
        await committed(self, seen, has_written=has_written)

    async with sql_listed(settings_for(own_store.url, timeout="1s")) as used_list:
        assert await used_list.mark_used(a_use(), timeout=TIMEOUT) is FIRST
        identity, use = identity_of(own_store), a_use()
        monkeypatch.setattr(SqliteSession, "_committed", slow)
        with pytest.raises(UsedListError) as caught:
            await used_list.mark_used(use, timeout=TIMEOUT)
        assert is_committing.is_set()
        assert caught.value.token_state is TokenState.UNKNOWN
        monkeypatch.undo()
        assert await used_list.mark_used(replay_of(use), timeout=TIMEOUT) is USED
    assert identity_of(own_store) == identity


async def test_who_waits_in_vain_for_the_lock_keeps_the_connection(own_store: SqlStore) -> None:
    async with a_session(own_store) as session:
        with closing(await Witness(path_of(own_store)).taken()):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await session.spend([a_use()])
            assert session.is_idle
            assert not session.may_have_written
        await asyncio.sleep(0.05)
        async with asyncio.timeout(30):
            await session.spend([a_use()])


async def test_a_witness_that_was_taken_away_during_a_spend_vouches_for_nothing(
    own_store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker would lock the next one: two would be alone at once."""
    committed, before = SqliteSession._committed, [False]

    async def robbed(self: SqliteSession, seen: Seen, *, has_written: bool) -> None:
        if has_written and not before[0]:
            before[0] = True
            Witness(path_of(own_store)).path.unlink()
        await committed(self, seen, has_written=has_written)

    async with a_session(own_store) as session:
        monkeypatch.setattr(SqliteSession, "_committed", robbed)
        with pytest.raises(ReplacedError):
            await session.spend([a_use()])


DYING = """\
import asyncio, os, signal, sys
from ott_extauthz.stores.sqllist.sqlite import SqliteSession
from tests.sql_lists import sql_listed
from tests.used_lists import a_use, settings_for

place, url = sys.argv[1:]
once = getattr(SqliteSession, place)

def dies(self, *arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)

async def dies_after(self, *arguments, **options):
    await once(self, *arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    setattr(SqliteSession, place, dies_after if place == "_fenced" else dies)
    async with sql_listed(settings_for(url)) as used_list:
        await used_list.mark_used(a_use(), timeout=4)

asyncio.run(main())
"""


def committed_in(store: SqlStore) -> str:
    """Read the database's own identity; read-only, since who closes a file last writes its log back into it."""
    with closing(sqlite3.connect(f"file:{path_of(store)}?mode=ro", uri=True)) as connection:
        return str(connection.execute("SELECT identity FROM ott_fence").fetchone()[0])


def _witness_deleted(store: SqlStore) -> None:
    Witness(path_of(store)).path.unlink()


def _nothing(_: SqlStore) -> None:
    pass


@pytest.mark.parametrize("place", ["_fenced", "_finish", "_committed"])
@pytest.mark.parametrize(("fault", "moves"), [(_nothing, 0), (_witness_deleted, 1)])
async def test_a_worker_that_dies_between_witness_and_commit_costs_no_second_fence(
    own_store: SqlStore, place: str, fault: Callable[[SqlStore], None], moves: int
) -> None:
    async with sql_listed(own_store) as used_list:
        assert await used_list.mark_used(a_use(), timeout=TIMEOUT) is FIRST
    committed = [committed_in(own_store)]
    fault(own_store)
    for _ in range(2):
        died = await asyncio.create_subprocess_exec(sys.executable, "-c", DYING, place, own_store.url, cwd=ROOT)
        code = await died.wait()
        assert code in {-signal.SIGKILL, 0}
        committed.append(committed_in(own_store))
    for _ in range(3):
        async with sql_listed(own_store) as used_list:
            assert await used_list.mark_used(a_use(), timeout=TIMEOUT) is FIRST
        committed.append(committed_in(own_store))
    assert len(set(committed)) == 1 + moves
