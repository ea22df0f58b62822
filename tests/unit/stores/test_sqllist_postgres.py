"""Attacks on a used-list in PostgreSQL: crashes, copies put back, promotions, settings that forget, a hung server."""

import asyncio
import dataclasses
from collections.abc import Callable

import asyncpg
import pytest

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import SpendOutcome, UsedListError, UsedListFault
from ott_extauthz.stores.sqllist.list import SqlUsedList
from tests.fakes.clock import SkewedClock
from tests.postgres import USER, WHY_NOT, PostgresProcess, postgres, standby_of
from tests.proxies import DropProxy
from tests.sql_lists import SqlStore, of_server, sql_listed, workers
from tests.used_lists import BOUNDS, EXPIRED, FENCED, FIRST, USED, Outcomes, a_use, replay_of, settings_for

pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "it is there")

TIMEOUT = 4.0


async def looked_at(used_list: Outcomes) -> None:
    """Have the list see the server as it is now and set its fence; on a busy machine one look may take too long."""
    async with asyncio.timeout(60):
        while not (await used_list.health()).ready:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.05)


def _killed(server: PostgresProcess) -> None:
    server.kill()
    server.start()


def _restarted(server: PostgresProcess) -> None:
    server.stop()
    server.start()


def _copied_back(server: PostgresProcess) -> None:
    """An older data directory: its fence comes back with it; the system identifier and the timeline are the same."""
    server.stop()
    server.put_back(server.home / "backup")
    server.start()


@pytest.mark.parametrize("misfortune", [_killed, _restarted, _copied_back])
async def test_a_used_token_is_refused_once_the_server_was(
    own_server: PostgresProcess, misfortune: Callable[[PostgresProcess], None]
) -> None:
    store = of_server(own_server)
    async with sql_listed(store) as used_list:
        old = store.use_after_fence()
        assert await used_list.mark_used(old, timeout=TIMEOUT) is FIRST
        own_server.stop()
        own_server.copy_of_data("backup")
        own_server.start()
        await looked_at(used_list)
        use = store.use_after_fence()
        assert await used_list.mark_used(use, timeout=TIMEOUT) is FIRST
        await asyncio.to_thread(misfortune, own_server)
        await looked_at(used_list)
        assert await used_list.mark_used(replay_of(use), timeout=TIMEOUT) is FENCED
        assert await used_list.mark_used(replay_of(old), timeout=TIMEOUT) is FENCED
        fresh = store.use_after_fence()
        assert await used_list.mark_used(fresh, timeout=TIMEOUT) is FIRST
        assert await used_list.mark_used(replay_of(fresh), timeout=TIMEOUT) is USED


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE ott_used",
        "DROP TABLE ott_used",
        "DROP TABLE ott_used, ott_counters, ott_fence",
        "DELETE FROM ott_fence",
        "UPDATE ott_fence SET identity = 'rubbish'",
        "DROP TABLE ott_used; CREATE TABLE ott_used (key bytea PRIMARY KEY, nonce bytea, first_ms int8, keep_until_ms int8, witness bytea)",  # noqa: E501
    ],
)
async def test_a_used_token_is_refused_after(shared: SqlStore, statement: str) -> None:
    async with sql_listed(shared) as used_list:
        use = shared.use_after_fence()
        assert await used_list.mark_used(use, timeout=TIMEOUT) is FIRST
        await asyncio.sleep(0.005)
        await asyncio.to_thread(shared.sql, statement)
        await used_list.health()
        assert await used_list.mark_used(replay_of(use), timeout=TIMEOUT) is FENCED
        assert await used_list.mark_used(shared.use_after_fence(), timeout=TIMEOUT) is FIRST


async def test_a_standby_takes_no_use_and_once_promoted_vouches_for_nothing_before(
    own_server: PostgresProcess,
) -> None:
    store = of_server(own_server)
    async with sql_listed(store) as old:
        use = store.use_after_fence()
        assert await old.mark_used(use, timeout=TIMEOUT) is FIRST
        with standby_of(own_server) as standby:
            async with sql_listed(of_server(standby)) as new:
                assert await new.mark_used(replay_of(use), timeout=TIMEOUT) is SpendOutcome.NOT_PRIMARY
                health = await new.health()
                assert not health.ready
                assert "replica" in health.detail
                assert "store.url" in health.detail
                await asyncio.to_thread(standby.promote)
                assert await new.mark_used(replay_of(use), timeout=TIMEOUT) is FENCED
                fresh = of_server(standby).use_after_fence()
                assert await new.mark_used(fresh, timeout=TIMEOUT) is FIRST


async def test_a_server_that_takes_no_writes_is_no_primary(own_server: PostgresProcess) -> None:
    store = of_server(own_server)
    async with sql_listed(store) as used_list:
        assert await used_list.mark_used(store.use_after_fence(), timeout=TIMEOUT) is FIRST
    own_server.sql("ALTER SYSTEM SET default_transaction_read_only = on")
    own_server.sql("SELECT pg_reload_conf()")
    async with asyncio.timeout(30):  # the server reads its files again when it comes to it
        while await asyncio.to_thread(own_server.sql, "SHOW default_transaction_read_only") != "on":  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.05)
    async with sql_listed(store) as used_list:
        assert await used_list.mark_used(a_use(), timeout=TIMEOUT) is SpendOutcome.NOT_PRIMARY
        assert "default_transaction_read_only" in (await used_list.health()).detail


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
async def test_a_server_that_may_forget_is_refused(setting: str) -> None:
    with postgres(**{setting: "off"}) as server:
        store = of_server(server)
        async with sql_listed(store) as used_list:
            assert await used_list.mark_used(a_use(), timeout=TIMEOUT) is SpendOutcome.UNSAFE
            health = await used_list.health()
        assert not health.ready
        assert setting in health.detail
        assert store.used() == 0


async def test_a_table_that_a_crash_empties_is_refused(shared: SqlStore) -> None:
    async with sql_listed(shared) as used_list:
        await asyncio.to_thread(shared.sql, "ALTER TABLE ott_used SET UNLOGGED")
        assert await used_list.mark_used(a_use(), timeout=TIMEOUT) is SpendOutcome.UNSAFE
        assert "UNLOGGED" in (await used_list.health()).detail


async def test_our_sessions_wait_for_the_disk_whatever_the_server_prefers(own_server: PostgresProcess) -> None:
    own_server.sql(f"ALTER ROLE {USER} SET synchronous_commit = off")
    store = of_server(own_server)
    async with sql_listed(store) as used_list:
        assert await used_list.mark_used(store.use_after_fence(), timeout=TIMEOUT) is FIRST


async def test_a_hung_server_is_a_refusal_in_time_and_then_all_goes_on(own_server: PostgresProcess) -> None:
    store = of_server(own_server)
    async with sql_listed(settings_for(store.url, timeout="1s")) as used_list:
        before = store.use_after_fence()
        assert await used_list.mark_used(before, timeout=TIMEOUT) is FIRST
        use = store.use_after_fence()
        own_server.pause()
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            with pytest.raises(UsedListError) as caught:
                await used_list.mark_used(use, timeout=60)
            assert loop.time() - started < 30
            assert caught.value.fault in {UsedListFault.TIMEOUT, UsedListFault.CONNECT}
        finally:
            own_server.resume()
        await looked_at(used_list)
        outcome = await used_list.mark_used(replay_of(use), timeout=TIMEOUT)
        assert outcome in {FIRST, USED}
        assert outcome is FIRST or caught.value.token_state is TokenState.UNKNOWN
        assert await used_list.mark_used(replay_of(before), timeout=TIMEOUT) is USED


async def test_a_commit_whose_reply_was_lost_is_found_again_by_its_nonce(shared: SqlStore) -> None:
    assert shared.server is not None
    async with DropProxy(shared.server.port) as proxy:
        url = shared.url.replace(str(shared.server.port), str(proxy.port))
        async with sql_listed(settings_for(url)) as used_list:
            use = await asyncio.to_thread(shared.use_after_fence)
            proxy.drop_replies, proxy.drop_containing = 0, b"COMMIT\0"
            with pytest.raises(UsedListError) as caught:
                await used_list.mark_used(use, timeout=1)
            assert caught.value.token_state is TokenState.UNKNOWN
            proxy.drop_containing = None
            assert await used_list.mark_used(use, timeout=TIMEOUT) is FIRST
            assert await used_list.mark_used(replay_of(use), timeout=TIMEOUT) is USED


async def test_a_write_that_was_lost_before_its_commit_left_the_token_unspent(shared: SqlStore) -> None:
    assert shared.server is not None
    async with DropProxy(shared.server.port) as proxy:
        url = shared.url.replace(str(shared.server.port), str(proxy.port))
        async with sql_listed(settings_for(url)) as used_list:
            use = await asyncio.to_thread(shared.use_after_fence)
            assert await used_list.mark_used(replay_of(await asyncio.to_thread(shared.use_after_fence)),
                                             timeout=TIMEOUT) is FIRST  # fmt: skip
            proxy.drop_containing = b"INSERT 0 1\0"
            with pytest.raises(UsedListError) as caught:
                await used_list.mark_used(use, timeout=1)
            assert caught.value.token_state is TokenState.UNSPENT
            proxy.drop_containing = None
            assert await used_list.mark_used(replay_of(use), timeout=TIMEOUT) is FIRST


async def test_of_two_lists_that_cross_their_tokens_none_waits_for_the_other(shared: SqlStore) -> None:
    """Two transactions that took the same rows in opposite order would deadlock; they take them in one order."""
    assert shared.server is not None
    async with sql_listed(shared) as one, sql_listed(shared) as other:
        use = await asyncio.to_thread(shared.use_after_fence)
        uses = [dataclasses.replace(replay_of(use), key=letter * 32) for letter in (b"a", b"m", b"z")]
        third = await asyncpg.connect(host="127.0.0.1", port=shared.server.port, user=USER, database="postgres")
        transaction = third.transaction()
        await transaction.start()
        await third.execute("INSERT INTO ott_used VALUES ($1, '', 0, 0, '')", b"m" * 32)  # both wait for this one
        tasks = [asyncio.create_task(one.mark_used(use, timeout=TIMEOUT)) for use in uses]
        tasks += [asyncio.create_task(other.mark_used(replay_of(use), timeout=TIMEOUT)) for use in reversed(uses)]
        await asyncio.sleep(0.4)
        await transaction.rollback()
        await third.close()
        answers = await asyncio.gather(*tasks)
    assert (answers.count(FIRST), answers.count(USED)) == (3, 3)


def test_of_processes_that_race_for_a_token_one_wins(shared: SqlStore) -> None:
    with workers(shared.url, 4) as racing:
        for _ in range(15):
            use = shared.use_after_fence()
            for worker in racing:
                worker.tell(replay_of(use))
            heard = [worker.hear() for worker in racing]
            assert set(heard) <= {"FIRST_USE", "ALREADY_USED", "UNSPENT", "UNKNOWN"}
            assert heard.count("FIRST_USE") == 1 or ("UNKNOWN" in heard and "FIRST_USE" not in heard)


async def test_the_sweep_keeps_what_lives_and_what_it_took_never_comes_back(shared: SqlStore) -> None:
    used_list = SqlUsedList(settings=settings_for(shared.url), bounds=BOUNDS, clock=SkewedClock())
    used_list._lane._sweep_every = 0.0
    await used_list.start()
    live = [shared.use_after_fence() for _ in range(3)]
    ending = []
    for _ in range(3):  # each has its short life before it, however long the ones before took
        use = await asyncio.to_thread(shared.use_after_fence)
        ending.append(dataclasses.replace(use, keep_until_ms=SkewedClock().now_ms() + 2500))
        assert (await used_list.mark_used(ending[-1], timeout=TIMEOUT)).outcome is FIRST
    for use in live:
        assert (await used_list.mark_used(use, timeout=TIMEOUT)).outcome is FIRST
    async with asyncio.timeout(60):  # sweeps run behind an answer, and one that a slow machine cuts off is tried again
        while await asyncio.to_thread(shared.used) != len(live):
            await asyncio.sleep(0.1)
            await used_list.health()
    for use in live:
        assert (await used_list.mark_used(replay_of(use), timeout=TIMEOUT)).outcome is USED
    clock_back = SkewedClock(-800)
    async with sql_listed(shared, clock=clock_back) as slow:
        for use in ending:
            again = dataclasses.replace(replay_of(use), now_ms=clock_back.now_ms())
            assert await slow.mark_used(again, timeout=TIMEOUT) is EXPIRED
    await used_list.close()


async def test_a_stalled_transaction_cannot_bring_back_what_was_swept_meanwhile(shared: SqlStore) -> None:
    """It saw the clock before the end and wrote after the sweep: the time of the write itself decides."""
    async with sql_listed(shared) as used_list:
        use = shared.use_after_fence(keep_until_ms=SkewedClock().now_ms() + 300)
        database = used_list.used_list._database  # type: ignore[attr-defined]
        session = await database.open()
        see = session._see

        async def slow_see() -> object:
            seen = await see()
            await asyncio.sleep(0.4)
            return seen

        session._see = slow_see
        _, spends = await session.spend([use])
        assert spends[0].outcome is EXPIRED
        await session.drop()


@pytest.mark.parametrize("offset_ms", [-BOUNDS.max_skew - 20_000, BOUNDS.max_skew + 20_000])
async def test_a_caller_whose_clock_is_off_spends_nothing(shared: SqlStore, offset_ms: int) -> None:
    clock = SkewedClock(offset_ms)
    async with sql_listed(shared, clock=clock) as used_list:
        outcome = await used_list.mark_used(a_use(now_ms=clock.now_ms()), timeout=TIMEOUT)
        assert outcome is SpendOutcome.CLOCK_DISAGREES
        assert shared.used() == 0
        health = await used_list.health()
    assert not health.ready
    assert "clock.max_skew" in health.detail
    assert ("behind" if offset_ms > 0 else "ahead of") in health.detail
