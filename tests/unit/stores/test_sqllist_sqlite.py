"""Attacks on a used-list in a SQLite file: processes that race and die, files that vanish and come back older."""

import asyncio
import dataclasses
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import OWN_WRITE_MS, SpendOutcome, Use, UsedListError, UsedListFault
from ott_extauthz.sections.serving import ClockBounds
from ott_extauthz.stores.sqllist import witness
from ott_extauthz.stores.sqllist.list import SqlUsedList
from tests.fakes.clock import FakeClock, SkewedClock
from tests.sql_lists import SqlStore, delete_files, sql_listed, sqlite_at, workers
from tests.used_lists import BOUNDS, EXPIRED, FENCED, FIRST, USED, Outcomes, a_use, replay_of, settings_for

TIMEOUT = 4.0


@pytest.fixture
def own_store(tmp_path: Path) -> SqlStore:
    return sqlite_at(tmp_path / "used.db")


def path_of(store: SqlStore) -> Path:
    assert store.path is not None
    return store.path


def files_of(store: SqlStore) -> list[Path]:
    path = path_of(store)
    return [file for suffix in ("", "-wal", "-shm") if (file := path.with_name(path.name + suffix)).exists()]


def witness_of(store: SqlStore) -> Path:
    return witness.Witness(path_of(store)).path


def delete_all(store: SqlStore) -> None:
    delete_files(path_of(store))


def backup(store: SqlStore, to: Path) -> None:
    with closing(sqlite3.connect(path_of(store))) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)


async def spent(store: SqlStore) -> Use:
    """Spend a token and leave."""
    async with sql_listed(store) as used_list:
        use = store.use_after_fence()
        assert await used_list.mark_used(use, timeout=TIMEOUT) is FIRST
    await asyncio.sleep(0.005)
    return use


async def outcome_of_replay(store: SqlStore, use: Use) -> SpendOutcome:
    async with sql_listed(store) as used_list:
        return await used_list.mark_used(replay_of(use), timeout=TIMEOUT)


async def test_a_clean_restart_forgets_nothing_and_fences_nothing(own_store: SqlStore) -> None:
    use = await spent(own_store)
    since = own_store.since_ms()
    assert await outcome_of_replay(own_store, use) is USED
    fresh = own_store.use_after_fence()
    async with sql_listed(own_store) as used_list:
        assert await used_list.mark_used(fresh, timeout=TIMEOUT) is FIRST
    assert own_store.since_ms() == since


async def test_who_spent_it_first_is_told_to_the_second(own_store: SqlStore) -> None:
    async with sql_listed(own_store) as used_list:
        use = dataclasses.replace(own_store.use_after_fence(), witness=b"\x00the first\xff")
        assert (await used_list.used_list.mark_used(use, timeout=TIMEOUT)).outcome is FIRST
        second = await used_list.used_list.mark_used(replay_of(use), timeout=TIMEOUT)
    assert second.outcome is USED
    assert second.first is not None
    assert second.first.witness == use.witness
    assert abs(second.first.at_ms - use.now_ms) < 1000


def _deleted(store: SqlStore, _: Path) -> None:
    delete_all(store)


def _only_the_log_deleted(store: SqlStore, _: Path) -> None:
    """What was spent since the last checkpoint lies there alone."""
    for file in files_of(store)[1:]:
        file.unlink()


def _copied_over(store: SqlStore, copy: Path) -> None:
    """``cp backup.db used.db``: the inode stays, and the data looks whole."""
    for file in files_of(store)[1:]:
        file.unlink()
    shutil.copyfile(copy, path_of(store))


def _copied_over_beside_its_log(store: SqlStore, copy: Path) -> None:
    """The newer log lies over older pages: the fence in it is the newest, the uses below it are not."""
    shutil.copyfile(copy, path_of(store))


def _moved_in(store: SqlStore, copy: Path) -> None:
    delete_all(store)
    copy.rename(path_of(store))


def _emptied(store: SqlStore, _: Path) -> None:
    for file in files_of(store)[1:]:
        file.unlink()
    os.truncate(path_of(store), 0)


MISFORTUNES = [_deleted, _only_the_log_deleted, _copied_over, _copied_over_beside_its_log, _moved_in, _emptied]


@pytest.mark.parametrize("misfortune", MISFORTUNES)
async def test_a_used_token_is_refused_after_a_crash_and(
    own_store: SqlStore, misfortune: Callable[[SqlStore, Path], None], tmp_path: Path
) -> None:
    """The workers are killed, so that the log stays; an older copy comes back, or nothing does."""
    await spent(own_store)
    copy = tmp_path / "backup"
    backup(own_store, copy)
    with workers(own_store.url, 1) as (worker,):
        use = own_store.use_after_fence()
        worker.tell(use)
        assert worker.hear() == "FIRST_USE"
        worker.process.kill()
        worker.process.wait()
    await asyncio.sleep(0.01)
    misfortune(own_store, copy)
    assert await outcome_of_replay(own_store, use) is FENCED
    async with sql_listed(own_store) as used_list:
        assert await used_list.mark_used(own_store.use_after_fence(), timeout=TIMEOUT) is FIRST


@pytest.mark.parametrize("misfortune", [_deleted, _moved_in])
async def test_a_used_token_is_refused_after_the_file_under_a_running_list_was(
    own_store: SqlStore, misfortune: Callable[[SqlStore, Path], None], tmp_path: Path
) -> None:
    copy = tmp_path / "backup"
    async with sql_listed(own_store) as used_list:
        backup(own_store, copy)
        use = own_store.use_after_fence()
        assert await used_list.mark_used(use, timeout=TIMEOUT) is FIRST
        await asyncio.sleep(0.005)
        misfortune(own_store, copy)
        assert await used_list.mark_used(replay_of(use), timeout=TIMEOUT) is FENCED
        assert await used_list.mark_used(own_store.use_after_fence(), timeout=TIMEOUT) is FIRST
        assert await outcome_of_replay(own_store, use) is FENCED


async def test_a_copy_that_lived_elsewhere_is_not_vouched_for(own_store: SqlStore, tmp_path: Path) -> None:
    """The copy counts on in another place, further than the original: only its identity can give it away."""
    await spent(own_store)
    elsewhere = sqlite_at(tmp_path / "elsewhere.db")
    backup(own_store, path_of(elsewhere))
    use = await spent(own_store)
    for _ in range(3):
        await spent(elsewhere)
    delete_all(own_store)
    path_of(elsewhere).rename(path_of(own_store))
    assert await outcome_of_replay(own_store, use) is FENCED


@pytest.mark.parametrize("rubbish", [b"", b"rubbish", b"a b c", b"\xff" * 256])
async def test_a_witness_that_does_not_vouch_is_a_fence(own_store: SqlStore, rubbish: bytes) -> None:
    use = await spent(own_store)
    witness_of(own_store).write_bytes(rubbish)
    assert await outcome_of_replay(own_store, use) is FENCED


async def test_a_witness_that_is_gone_is_a_fence_also_for_a_running_list(own_store: SqlStore) -> None:
    async with sql_listed(own_store) as used_list:
        use = own_store.use_after_fence()
        assert await used_list.mark_used(use, timeout=TIMEOUT) is FIRST
        await asyncio.sleep(0.005)
        witness_of(own_store).unlink()
        assert await used_list.mark_used(replay_of(use), timeout=TIMEOUT) is FENCED


async def test_another_boot_of_the_machine_is_a_fence(own_store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    use = await spent(own_store)
    boot = path_of(own_store).with_name("boot")
    boot.write_text("another\n")
    monkeypatch.setattr(witness, "_BOOT", boot)
    assert await outcome_of_replay(own_store, use) is FENCED


async def test_an_answer_is_given_only_once_the_witness_knows(own_store: SqlStore) -> None:
    """The commit has happened; while the witness cannot be told, a copy from before could not be told apart."""
    async with sql_listed(settings_for(own_store.url, timeout="2s")) as used_list:
        before = own_store.use_after_fence()
        assert await used_list.mark_used(before, timeout=TIMEOUT) is FIRST
        with closing(await witness.Witness(path_of(own_store)).taken()), pytest.raises(UsedListError) as caught:
            await used_list.mark_used(own_store.use_after_fence(), timeout=0.3)
        assert caught.value.fault is UsedListFault.TIMEOUT
        assert await used_list.mark_used(replay_of(before), timeout=TIMEOUT) is USED


def test_of_processes_that_race_for_a_token_one_wins(own_store: SqlStore) -> None:
    with workers(own_store.url, 4) as racing:
        for _ in range(25):
            use = own_store.use_after_fence()
            for worker in racing:
                worker.tell(replay_of(use))
            heard = [worker.hear() for worker in racing]
            assert set(heard) <= {"FIRST_USE", "ALREADY_USED", "UNSPENT", "UNKNOWN"}
            assert heard.count("FIRST_USE") == 1 or ("UNKNOWN" in heard and "FIRST_USE" not in heard)


def test_a_worker_killed_in_the_middle_of_a_spend_leaves_at_most_one_use(own_store: SqlStore) -> None:
    """Whatever the moment of the kill: if it said FIRST_USE nobody else hears it; if it did not, at most one does."""
    with workers(own_store.url, 1) as (other,):
        for delay in range(8):
            with workers(own_store.url, 1) as (victim,):
                use = own_store.use_after_fence()
                victim.tell(use)
                os.sched_yield()
                asyncio.run(asyncio.sleep(delay / 1000))
                victim.process.send_signal(signal.SIGKILL)
                first = victim.hear()
            for _ in range(2):
                other.tell(replay_of(use))
            heard = [first, other.hear(), other.hear()]
            assert heard.count("FIRST_USE") <= 1
            assert heard[2] != "FIRST_USE"


def test_a_worker_stopped_with_the_lock_held_makes_others_refuse_and_not_wait(own_store: SqlStore) -> None:
    asyncio.run(_held_up(own_store))


async def _held_up(store: SqlStore) -> None:
    async with sql_listed(settings_for(store.url, timeout="1s")) as used_list:
        use = store.use_after_fence()
        with closing(sqlite3.connect(path_of(store), isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            loop = asyncio.get_running_loop()
            before = loop.time()
            with pytest.raises(UsedListError) as caught:
                await used_list.mark_used(use, timeout=60)
            assert loop.time() - before < 30
            assert (caught.value.fault, caught.value.token_state) == (UsedListFault.TIMEOUT, TokenState.UNSPENT)
            holder.execute("ROLLBACK")
        assert await used_list.mark_used(use, timeout=TIMEOUT) is FIRST


async def test_a_caller_who_gives_up_takes_nobody_along(own_store: SqlStore) -> None:
    async with sql_listed(own_store) as used_list:
        uses = [own_store.use_after_fence() for _ in range(20)]
        tasks = [asyncio.create_task(used_list.mark_used(use, timeout=TIMEOUT)) for use in uses]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert answers[1::2] == [FIRST] * 10
        for use in uses:
            assert await used_list.mark_used(replay_of(use), timeout=TIMEOUT) in {FIRST, USED}
            assert await used_list.mark_used(replay_of(use), timeout=TIMEOUT) is USED


async def test_the_sweep_deletes_what_has_ended_and_nothing_else(own_store: SqlStore) -> None:
    clock = FakeClock()
    used_list = SqlUsedList(settings=settings_for(own_store.url), bounds=BOUNDS, clock=clock)
    used_list._lane._sweep_every = 0.0
    await used_list.start()
    now_ms = clock.now_ms()
    live = [own_store.use_after_fence(now_ms=now_ms, keep_until_ms=now_ms + 101) for _ in range(5)]
    ending = [own_store.use_after_fence(now_ms=now_ms, keep_until_ms=now_ms + 100) for _ in range(5)]
    for use in (*live, *ending):
        assert (await used_list.mark_used(use, timeout=TIMEOUT)).outcome is FIRST
    clock.advance(100)
    await used_list.health()
    await used_list.health()
    assert own_store.used() == len(live)
    for use, expected in ((live[0], USED), (live[4], USED), (ending[0], EXPIRED), (ending[4], EXPIRED)):
        again = dataclasses.replace(use, nonce=b"another", now_ms=clock.now_ms())
        assert (await used_list.mark_used(again, timeout=TIMEOUT)).outcome is expected
    await used_list.close()


async def test_a_sweep_that_fails_is_counted_and_stops_no_spend(own_store: SqlStore) -> None:
    """Else nobody sees that the tables grow until the disk is full."""
    clock, failed = FakeClock(), list[bool]()
    used_list = SqlUsedList(
        settings=settings_for(own_store.url), bounds=BOUNDS, clock=clock, on_sweep_failed=lambda: failed.append(True)
    )
    used_list._lane._sweep_every = 0.0
    await used_list.start()
    now_ms = clock.now_ms()
    use = own_store.use_after_fence(now_ms=now_ms, keep_until_ms=now_ms + 100)
    assert (await used_list.mark_used(use, timeout=TIMEOUT)).outcome is FIRST
    await used_list.health()
    assert failed == []
    own_store.sql("CREATE TRIGGER kept BEFORE DELETE ON ott_used BEGIN SELECT RAISE(ABORT, 'kept'); END")
    clock.advance(100)
    await used_list.health()
    later = own_store.use_after_fence(now_ms=clock.now_ms(), keep_until_ms=clock.now_ms() + 60_000)
    assert (await used_list.mark_used(later, timeout=TIMEOUT)).outcome is FIRST
    async with asyncio.timeout(20):
        while not failed:
            await used_list.health()
    assert own_store.used() == 2
    await used_list.close()


async def test_what_was_swept_is_no_first_use_for_a_clock_that_went_back(own_store: SqlStore) -> None:
    clock = FakeClock()
    used_list = SqlUsedList(settings=settings_for(own_store.url), bounds=BOUNDS, clock=clock)
    used_list._lane._sweep_every = 0.0
    await used_list.start()
    use = own_store.use_after_fence(now_ms=clock.now_ms(), keep_until_ms=clock.now_ms() + 10_000)
    assert (await used_list.mark_used(use, timeout=TIMEOUT)).outcome is FIRST
    clock.advance(10_000)
    await used_list.health()
    await used_list.health()
    assert own_store.used() == 0
    clock.step(-9_000)
    again = dataclasses.replace(use, nonce=b"another", now_ms=clock.now_ms())
    assert (await used_list.mark_used(again, timeout=TIMEOUT)).outcome is EXPIRED
    await used_list.close()


async def test_the_margin_covers_a_clock_that_went_back_before_the_file_was_lost(own_store: SqlStore) -> None:
    """The clock was ahead by max_skew at the use, and is behind by as much when the new fence is set."""
    bounds = ClockBounds.model_validate({"max_skew": "400ms", "iat_lead": "100ms"})
    clock = FakeClock()
    async with sql_listed(settings_for(own_store.url), bounds=bounds, clock=clock) as used_list:
        clock.advance(5000)
        use = a_use(now_ms=clock.now_ms(), issued_at_ms=clock.now_ms() + bounds.iat_lead)
        assert await used_list.mark_used(use, timeout=TIMEOUT) is FIRST
        clock.step(-2 * bounds.max_skew)
        delete_all(own_store)
        again = dataclasses.replace(use, nonce=b"another", now_ms=clock.now_ms())
        assert await used_list.mark_used(again, timeout=TIMEOUT) is FENCED


async def test_the_same_attempt_is_another_one_after_its_window(own_store: SqlStore) -> None:
    clock = FakeClock()
    async with sql_listed(settings_for(own_store.url), clock=clock) as used_list:
        use = own_store.use_after_fence(now_ms=clock.now_ms())
        for advance, expected in ((0, FIRST), (OWN_WRITE_MS, FIRST), (1, USED)):
            clock.advance(advance)
            assert await used_list.mark_used(use, timeout=TIMEOUT) is expected


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda path: path.mkdir(), "store.url"),
        (lambda path: path.write_bytes(b"no database at all, " * 100), "store.url"),
    ],
)
async def test_what_is_no_database_is_named(
    own_store: SqlStore, make: Callable[[Path], object], word: str, tmp_path: Path
) -> None:
    make(path_of(own_store))
    await _is_unfit(own_store, word)


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    await _is_unfit(sqlite_at(tmp_path / "missing" / "used.db"), "store.url")


async def _is_unfit(store: SqlStore, word: str) -> None:
    async with sql_listed(store) as used_list:
        health = await used_list.health()
        assert not health.ready
        assert word in health.detail
        assert "\n" not in health.detail
        with pytest.raises(UsedListError) as caught:
            await used_list.mark_used(a_use(), timeout=TIMEOUT)
    assert (caught.value.fault, caught.value.token_state) == (UsedListFault.CONNECT, TokenState.UNSPENT)


async def test_nobody_else_may_read_the_files(own_store: SqlStore) -> None:
    await spent(own_store)
    for file in (path_of(own_store), witness_of(own_store)):
        assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "sqlite://host/file", "sqlite:///file?mode=ro", "sqlite:///folder/", "sqlite:"]
)
def test_a_url_that_says_something_else_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="sqlite:///absolute"):
        SqlUsedList(settings=settings_for(url), bounds=BOUNDS, clock=SkewedClock())


async def test_many_callers_share_transactions(own_store: SqlStore) -> None:
    async with sql_listed(own_store) as used_list:
        uses = [own_store.use_after_fence() for _ in range(300)]
        await asyncio.gather(*(_first(used_list, use) for use in uses))
        assert int(own_store.sql("SELECT writes FROM ott_fence")) < 10


async def _first(used_list: Outcomes, use: Use) -> None:
    assert await used_list.mark_used(use, timeout=TIMEOUT) is FIRST
