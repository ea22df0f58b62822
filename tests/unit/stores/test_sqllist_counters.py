"""Counters in a database: written with the use or not at all, swept when they are over, lost only with a fence."""

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from secrets import token_bytes

import asyncpg
import pytest

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import Charge, SpendOutcome, Use, UsedListError
from ott_extauthz.stores.sqllist import lane
from tests.charging import TIMEOUT, budget, charging, rate
from tests.fakes.clock import SkewedClock
from tests.postgres import USER, WHY_NOT, postgres
from tests.proxies import DropProxy
from tests.sql_lists import SQL_KINDS, SqlStore, of_server, sql_listed, sql_store
from tests.used_lists import EXPIRED, FENCED, FIRST, USED, Outcomes, replay_of, settings_for, used_in_time

EXHAUSTED, UNSAFE = SpendOutcome.BUDGET_EXHAUSTED, SpendOutcome.UNSAFE
needs_postgres = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "it is there")


@pytest.fixture(params=SQL_KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    with sql_store(request.param, tmp_path) as started:
        yield started


@pytest.fixture(scope="module")
def shared_server() -> Iterator[SqlStore]:
    with postgres() as server:
        yield of_server(server)


@pytest.fixture
def postgresql(shared_server: SqlStore) -> SqlStore:
    shared_server.sql("DROP TABLE IF EXISTS ott_used, ott_counters, ott_fence")
    return shared_server


def fresh_ms(store: SqlStore, after_ms: int = 0) -> int:
    return SkewedClock().now_ms() + store.margin_ms + 1 + after_ms


def a_use_of(store: SqlStore, *charges: Charge, key: bytes = b"") -> Use:
    return charging(SkewedClock().now_ms(), fresh_ms(store, 60_000), *charges, key=key)


async def spent(used_list: Outcomes, use: Use) -> SpendOutcome:
    return await used_list.mark_used(dataclasses.replace(use, now_ms=SkewedClock().now_ms()), timeout=TIMEOUT)


async def rows(store: SqlStore, table: str) -> int:
    return int(await asyncio.to_thread(store.sql, f"SELECT count(*) FROM {table}"))  # noqa: S608 - ours


async def test_a_refused_use_leaves_no_row_behind(store: SqlStore) -> None:
    async with sql_listed(store) as used_list:
        since = fresh_ms(store)
        full, roomy = budget(since, 0), budget(since, 5, key=b"o" * 32)
        assert await spent(used_list, a_use_of(store)) is FIRST
        store.sql("DELETE FROM ott_used")
        before = store.sql("SELECT writes FROM ott_fence")
        assert await spent(used_list, a_use_of(store, roomy, full)) is EXHAUSTED
        assert store.sql("SELECT writes FROM ott_fence") == before  # rolled back: it costs no synced write
        assert (await rows(store, "ott_used"), await rows(store, "ott_counters")) == (0, 0)
        uses = [a_use_of(store, charge) for charge in (full, roomy, full)]
        assert await asyncio.gather(*(spent(used_list, use) for use in uses)) == [EXHAUSTED, FIRST, EXHAUSTED]
        assert (await rows(store, "ott_used"), await rows(store, "ott_counters")) == (1, 1)


async def test_the_row_is_the_winners_though_it_was_written_for_another_attempt(store: SqlStore) -> None:
    async with sql_listed(store) as used_list:
        since, key = fresh_ms(store), b"k" * 32
        assert await spent(used_list, a_use_of(store)) is FIRST  # connected: the next two go in one transaction
        dear = dataclasses.replace(a_use_of(store, budget(since, 10, 11), key=key), witness=b"dear")
        cheap = dataclasses.replace(a_use_of(store, budget(since, 10, 4), key=key), witness=b"cheap")
        outcomes = await asyncio.gather(*(spent(used_list, use) for use in (dear, cheap)))
        assert outcomes == [EXHAUSTED, FIRST]
        assert await spent(used_list, cheap) is FIRST
        replay = await used_list.used_list.mark_used(dear, timeout=TIMEOUT)
        assert replay.outcome is USED
        assert replay.first is not None
        assert replay.first.witness == b"cheap"


async def test_a_database_from_before_there_were_counters_comes_to_have_them(store: SqlStore) -> None:
    async with sql_listed(store) as used_list:
        use = a_use_of(store)
        assert await spent(used_list, use) is FIRST
    await asyncio.to_thread(store.sql, "DROP TABLE ott_counters")
    async with sql_listed(store) as used_list:
        assert await spent(used_list, replay_of(use)) is USED
        assert await spent(used_list, a_use_of(store, budget(fresh_ms(store), 1))) is FIRST
    assert await rows(store, "ott_counters") == 1


async def test_counters_that_are_over_are_swept_and_a_swept_budget_is_not_begun_again(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane.Lane.__init__, "__kwdefaults__", {"sweep_every": 0.0})
    async with sql_listed(store) as used_list:

        async def attempt(life_ms: int) -> tuple[Charge, SpendOutcome]:
            await asyncio.to_thread(store.sql, "DELETE FROM ott_counters")  # of an attempt that lived too shortly
            until = SkewedClock().now_ms() + life_ms
            ended = budget(fresh_ms(store), 1, key=token_bytes(32), until_ms=until)
            outcome = await spent(used_list, a_use_of(store, ended, rate(5, life_ms)))
            found = await rows(store, "ott_counters")
            if SkewedClock().now_ms() >= until:
                return ended, EXPIRED
            assert found == 2
            return ended, outcome

        ended = await used_in_time(attempt)
        await asyncio.sleep((ended.keep_until_ms - SkewedClock().now_ms()) / 1000 + 0.05)
        for _ in range(20):
            await spent(used_list, a_use_of(store))
            if await rows(store, "ott_counters") == 0:
                break
        assert await rows(store, "ott_counters") == 0
        assert await spent(used_list, a_use_of(store, ended)) is EXPIRED
        assert await spent(used_list, a_use_of(store, rate(5, 500))) is FIRST


async def test_counters_outlive_the_processes_that_charged_them(store: SqlStore) -> None:
    charge = budget(fresh_ms(store, 10_000), 2)
    for expected in (FIRST, FIRST, EXHAUSTED):
        async with sql_listed(store) as used_list:
            assert await spent(used_list, a_use_of(store, charge)) is expected


@needs_postgres
@pytest.mark.parametrize(
    "loss",
    [
        "TRUNCATE ott_counters",
        "DROP TABLE ott_counters",
        "DROP TABLE ott_counters; CREATE TABLE ott_counters (key bytea PRIMARY KEY, level int8, part int8, keep_until_ms int8)",  # noqa: E501
        "TRUNCATE ott_used",
    ],
)
async def test_a_server_that_lost_its_counters_begins_no_budget_anew(postgresql: SqlStore, loss: str) -> None:
    async with sql_listed(postgresql) as used_list:
        charge = budget(fresh_ms(postgresql), 5)
        assert await spent(used_list, a_use_of(postgresql, charge)) is FIRST
        await asyncio.to_thread(postgresql.sql, loss)
        assert await spent(used_list, a_use_of(postgresql, charge)) is FENCED


@needs_postgres
async def test_counters_that_a_crash_would_empty_are_refused(postgresql: SqlStore) -> None:
    async with sql_listed(postgresql) as used_list:
        assert await spent(used_list, a_use_of(postgresql)) is FIRST
        await asyncio.to_thread(postgresql.sql, "ALTER TABLE ott_counters SET UNLOGGED")
        assert await spent(used_list, a_use_of(postgresql)) is UNSAFE


@needs_postgres
async def test_a_lost_reply_and_the_resend_charge_once(postgresql: SqlStore) -> None:
    assert postgresql.server is not None
    async with DropProxy(postgresql.server.port) as proxy:
        url = postgresql.url.replace(str(postgresql.server.port), str(proxy.port))
        async with sql_listed(settings_for(url)) as used_list:
            charge = budget(fresh_ms(postgresql), 2)
            use = a_use_of(postgresql, charge)
            assert await spent(used_list, a_use_of(postgresql)) is FIRST
            proxy.drop_containing = b"COMMIT\0"
            with pytest.raises(UsedListError) as caught:
                await used_list.mark_used(use, timeout=1)
            assert caught.value.token_state is TokenState.UNKNOWN
            proxy.drop_containing = None
            assert await spent(used_list, use) is FIRST
            outcomes = [await spent(used_list, a_use_of(postgresql, charge)) for _ in range(2)]
            assert outcomes == [FIRST, EXHAUSTED]


@needs_postgres
async def test_lists_that_cross_their_counters_do_not_wait_for_each_other(postgresql: SqlStore) -> None:
    """Both wait for a third; had they taken their counters in the order of their charges, they would deadlock."""
    assert postgresql.server is not None
    async with sql_listed(postgresql) as one, sql_listed(postgresql) as other:
        since = fresh_ms(postgresql)
        charges = [budget(since, 10, key=letter * 32) for letter in (b"a", b"m", b"z")]
        for charge in charges:
            assert await spent(one, a_use_of(postgresql, charge)) is FIRST
        third = await asyncpg.connect(host="127.0.0.1", port=postgresql.server.port, user=USER, database="postgres")
        transaction = third.transaction()
        await transaction.start()
        await third.execute("SELECT 1 FROM ott_counters WHERE key = $1 FOR UPDATE", b"b" + b"m" * 32)
        tasks = []
        for _ in range(3):
            tasks.append(asyncio.create_task(spent(one, a_use_of(postgresql, *charges))))
            tasks.append(asyncio.create_task(spent(other, a_use_of(postgresql, *reversed(charges)))))
            await asyncio.sleep(0.1)
        await transaction.rollback()
        await third.close()
        assert await asyncio.gather(*tasks) == [FIRST] * 6


@needs_postgres
async def test_a_sweep_takes_the_fence_before_the_counters(postgresql: SqlStore) -> None:
    """Who sets a fence holds its row and then wants counters; a sweep the other way round would deadlock with it."""
    assert postgresql.server is not None
    async with sql_listed(postgresql) as used_list:
        assert await spent(used_list, a_use_of(postgresql, rate(1, 1))) is FIRST
        third = await asyncpg.connect(host="127.0.0.1", port=postgresql.server.port, user=USER, database="postgres")
        transaction = third.transaction()
        await transaction.start()
        await third.execute("UPDATE ott_fence SET since_ms = since_ms")
        database = used_list.used_list._database  # type: ignore[attr-defined]
        session = await database.open()
        sweep = asyncio.create_task(session.sweep())
        await asyncio.sleep(0.3)
        assert not sweep.done()
        locked = await third.fetch("SELECT key FROM ott_counters FOR UPDATE NOWAIT")
        assert len(locked) == 1
        await transaction.rollback()
        await third.close()
        await sweep
        await session.drop()
        assert await rows(postgresql, "ott_counters") == 0
