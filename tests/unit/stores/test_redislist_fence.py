"""Whatever makes the store forget moves the fence: no token that may have been used before is accepted after."""

import asyncio
import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ott_extauthz.ports import OWN_WRITE_MS, Spend, SpendOutcome, StoreState
from ott_extauthz.sections.serving import ClockBounds
from ott_extauthz.stores.redislist.list import RedisUsedList
from ott_extauthz.stores.redislist.script import FENCE_KEY, USED_PREFIX
from tests.fakes.clock import SkewedClock
from tests.processes import Engine, StoreProcess, running
from tests.used_lists import (
    BOUNDS,
    EXPIRED,
    FENCED,
    FIRST,
    MARGIN_MS,
    USED,
    a_use,
    listed,
    replay_of,
    settings_for,
    since_ms,
)

TIMEOUT = 4.0


@pytest.fixture
def own_store(engine: Engine, tmp_path: Path) -> Iterator[StoreProcess]:
    """A store that a test may kill, promote and reconfigure; it writes everything to disk at once."""
    with running(engine, tmp_path / "data", appendonly="yes", appendfsync="always") as started:
        yield started


def _flush(store: StoreProcess) -> None:
    store.command("FLUSHALL")


def _flush_database(store: StoreProcess) -> None:
    store.command("FLUSHDB")


def _kill_and_replay_the_log(store: StoreProcess) -> None:
    store.kill()
    store.start()


def _leave_and_come_back(store: StoreProcess) -> None:
    store.stop()
    store.start()


def _come_back_empty(store: StoreProcess) -> None:
    store.restart_empty()


def _be_a_replica_for_a_moment(store: StoreProcess) -> None:
    store.command("REPLICAOF", "127.0.0.1", "1")
    store.command("REPLICAOF", "NO", "ONE")


def _evict_what_expires(store: StoreProcess) -> None:
    """Evict the used keys, which have an expiry, and not the fence, which has none; then look innocent again."""
    store.command("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
    store.command("CONFIG", "SET", "maxmemory", "1")
    assert store.info("stats")["evicted_keys"] > 0
    assert store.command("EXISTS", FENCE_KEY) == 1
    store.command("CONFIG", "SET", "maxmemory", "0")
    store.command("CONFIG", "SET", "maxmemory-policy", "noeviction")


@pytest.mark.parametrize(
    "misfortune",
    [
        _flush,
        _flush_database,
        _kill_and_replay_the_log,
        _leave_and_come_back,
        _come_back_empty,
        _be_a_replica_for_a_moment,
        _evict_what_expires,
    ],
)
async def test_a_used_token_is_refused_after(
    own_store: StoreProcess, misfortune: Callable[[StoreProcess], None]
) -> None:
    async with listed(own_store.url) as used_list:
        use = a_use()
        assert await used_list.mark_used(use, timeout=TIMEOUT) is FIRST
        before = since_ms(own_store)
        await asyncio.sleep(0.005)  # the use was "issued" just outside the margin; the loss must come after it
        await asyncio.to_thread(misfortune, own_store)
        assert await used_list.mark_used(replay_of(use), timeout=TIMEOUT) is FENCED
        after = since_ms(own_store)
        assert after > before
        minted_anew = a_use(issued_at_ms=after + MARGIN_MS + 1)
        assert await used_list.mark_used(minted_anew, timeout=TIMEOUT) is FIRST
        assert await used_list.mark_used(replay_of(minted_anew), timeout=TIMEOUT) is USED


async def test_a_token_used_on_the_old_primary_is_refused_on_the_promoted_one(
    own_store: StoreProcess, engine: Engine, tmp_path: Path
) -> None:
    """Replication is asynchronous, so the promoted server may lack the use, or have it: either way it cannot vouch."""
    with running(engine, tmp_path / "replica", replicaof=f"127.0.0.1 {own_store.port}") as replica:
        replica.wait_until_synchronised()  # before that, the first replica gives its primary a new identity
        async with listed(own_store.url) as old, listed(replica.url) as new:
            use = a_use()
            assert await old.mark_used(use, timeout=TIMEOUT) is FIRST
            assert await new.mark_used(replay_of(use), timeout=TIMEOUT) is SpendOutcome.NOT_PRIMARY
            await asyncio.sleep(0.005)
            await asyncio.to_thread(replica.command, "REPLICAOF", "NO", "ONE")
            assert await new.mark_used(replay_of(use), timeout=TIMEOUT) is FENCED


async def test_the_first_replica_costs_a_fence(own_store: StoreProcess, engine: Engine, tmp_path: Path) -> None:
    """An engine takes a new replication id when it begins to replicate: safe, and an operator should know of it."""
    async with listed(own_store.url) as used_list:
        before = since_ms(own_store)
        await asyncio.sleep(0.005)
        with running(engine, tmp_path / "replica", replicaof=f"127.0.0.1 {own_store.port}") as replica:
            await asyncio.to_thread(replica.wait_until_synchronised)
            assert (await used_list.health()).ready
            assert since_ms(own_store) > before


async def test_a_replica_takes_no_use_and_says_so(own_store: StoreProcess, engine: Engine, tmp_path: Path) -> None:
    with running(engine, tmp_path / "replica", replicaof=f"127.0.0.1 {own_store.port}") as replica:
        async with listed(replica.url) as used_list:
            assert await used_list.mark_used(a_use(), timeout=TIMEOUT) is SpendOutcome.NOT_PRIMARY
            health = await used_list.health()
        assert not health.ready
        assert "replica" in health.detail
        assert "store.url" in health.detail
        assert [server.state for server in health.servers] == [StoreState.REPLICA]


async def test_the_fence_stands_from_the_start_and_for_good(store: StoreProcess) -> None:
    async with listed(store.url):
        first = since_ms(store)
        assert store.command("TTL", FENCE_KEY) == -1
    async with listed(store.url) as another:
        await another.mark_used(a_use(), timeout=TIMEOUT)
        assert since_ms(store) == first


async def test_the_fence_stands_where_a_start_found_no_store(engine: Engine, tmp_path: Path) -> None:
    """The service may come up before its store: the first use sets the fence, and is refused unless it is newer."""
    with running(engine, tmp_path / "late") as late:
        late.kill()
        async with listed(late.url) as used_list:
            assert not (await used_list.health()).ready
            await asyncio.to_thread(late.start)
            now_ms = SkewedClock().now_ms()
            assert await used_list.mark_used(a_use(issued_at_ms=now_ms), timeout=TIMEOUT) is FENCED
            assert (await used_list.health()).ready


@pytest.mark.parametrize("rubbish", ["", "rubbish", "a,b,0:123", ":", "{identity}:nan", "{identity}:", "{identity}:-5"])
async def test_a_fence_that_is_not_ours_counts_as_none(store: StoreProcess, rubbish: str) -> None:
    async with listed(store.url) as used_list:
        use = a_use()
        assert await used_list.mark_used(use, timeout=TIMEOUT) is FIRST
        identity = store.command("GET", FENCE_KEY).rpartition(":")[0]
        store.command("SET", FENCE_KEY, rubbish.replace("{identity}", identity))
        await asyncio.sleep(0.005)
        assert await used_list.mark_used(replay_of(use), timeout=TIMEOUT) is FENCED
        assert abs(since_ms(store) - SkewedClock().now_ms()) < 5000


@pytest.mark.parametrize("offset_ms", [-BOUNDS.max_skew - 20_000, BOUNDS.max_skew + 20_000])
async def test_a_caller_whose_clock_is_off_spends_nothing(store: StoreProcess, offset_ms: int) -> None:
    clock = SkewedClock(offset_ms)
    async with listed(store.url, clock=clock) as used_list:
        use = a_use(now_ms=clock.now_ms())
        assert await used_list.mark_used(use, timeout=TIMEOUT) is SpendOutcome.CLOCK_DISAGREES
        assert store.command("DBSIZE") == 0  # not even a fence: its instant would be doubtful
        health = await used_list.health()
        assert not health.ready
        assert "clock.max_skew" in health.detail
        assert ("behind" if offset_ms > 0 else "ahead of") in health.detail


async def test_a_use_that_has_ended_by_the_stores_clock_is_not_written(store: StoreProcess) -> None:
    """The caller's clock lags, so its own check passes; SET NX PXAT in the past would say "first use" every time."""
    clock = SkewedClock(-600)
    async with listed(store.url, clock=clock) as used_list:
        now_ms = clock.now_ms()
        use = a_use(now_ms=now_ms, issued_at_ms=now_ms + MARGIN_MS + 5000, keep_until_ms=now_ms + 300)
        for _ in range(3):
            assert await used_list.mark_used(use, timeout=TIMEOUT) is EXPIRED
        assert store.command("DBSIZE") == 1


async def test_a_use_that_has_ended_is_refused_without_asking() -> None:
    used_list = RedisUsedList(settings=settings_for("redis://127.0.0.1:1"), bounds=BOUNDS, clock=SkewedClock())
    use = a_use(keep_until_ms=SkewedClock().now_ms())
    assert (await used_list.mark_used(use, timeout=TIMEOUT)).outcome is EXPIRED
    await used_list.close()


async def test_the_engine_still_forgets_a_past_expiry(store: StoreProcess) -> None:
    """The fact behind the rule above: should an engine ever change it, we want to know."""
    for _ in range(2):
        assert store.command("SET", "k", "v", "NX", "GET", "PXAT", 1_700_000_000_000) is None
    assert store.command("EXISTS", "k") == 0


async def test_the_margin_holds_a_token_issued_as_far_ahead_as_clocks_may_be(store: StoreProcess) -> None:
    """Measured before this was written: with one bound for everything, this very schedule accepted a token twice."""
    bounds = ClockBounds.model_validate({"max_skew": "400ms", "iat_lead": "400ms"})
    ahead = SkewedClock(280)  # a busy machine may take its time before this is no longer ahead
    async with listed(store.url, bounds=bounds, clock=ahead) as used_list:
        await asyncio.sleep(1.2)  # the fence of the start passes
        now_ms = ahead.now_ms()
        use = a_use(now_ms=now_ms, issued_at_ms=now_ms + 360)
        assert await used_list.mark_used(use, timeout=TIMEOUT) is FIRST
        await asyncio.to_thread(store.command, "FLUSHALL")
        again = a_use(key=use.key, now_ms=ahead.now_ms(), issued_at_ms=use.issued_at_ms)
        assert await used_list.mark_used(again, timeout=TIMEOUT) is FENCED


async def test_a_use_is_kept_until_its_end_and_holds_no_more_than_the_attempt(store: StoreProcess) -> None:
    async with listed(store.url) as used_list:
        use = dataclasses.replace(a_use(), witness=b"c=rgs")
        await used_list.mark_used(use, timeout=TIMEOUT)
        key = USED_PREFIX + use.key.hex()
        for _ in range(2):  # our own write, found again, is written again: the same value, the same end
            assert store.command("PEXPIRETIME", key) == use.keep_until_ms
            first_ms, nonce, witness = store.command("GET", key).split(":")
            assert (nonce, witness) == (use.nonce.hex(), "c=rgs")
            assert abs(int(first_ms) - use.now_ms) < 1000
            assert await used_list.mark_used(use, timeout=TIMEOUT) is FIRST


@pytest.mark.parametrize("witness", [b"", b"c=rgs;a=10.0.0.7", b"a b:c\r\n$3\r\n", bytes(range(256))])
async def test_a_second_use_is_shown_who_was_first(store: StoreProcess, witness: bytes) -> None:
    async with listed(store.url) as outcomes:
        used_list = outcomes.used_list
        use = dataclasses.replace(a_use(), witness=witness)
        assert await used_list.mark_used(use, timeout=TIMEOUT) == Spend(FIRST)
        second = await used_list.mark_used(dataclasses.replace(replay_of(use), witness=b"thief"), timeout=TIMEOUT)
        assert second.outcome is USED
        assert second.first is not None
        assert second.first.witness == witness
        assert abs(second.first.at_ms - use.now_ms) < 1000


async def test_our_own_write_is_ours_for_as_long_as_an_attempt_lasts(store: StoreProcess) -> None:
    """The store's clock decides, from the first use on: we make the first use older instead of waiting."""
    async with listed(store.url) as used_list:
        for age_ms, outcome in ((0, FIRST), (OWN_WRITE_MS - 500, FIRST), (OWN_WRITE_MS + 1, USED), (60_000, USED)):
            use = a_use()
            assert await used_list.mark_used(use, timeout=TIMEOUT) is FIRST
            key = USED_PREFIX + use.key.hex()
            first_ms, _, rest = store.command("GET", key).partition(":")
            store.command("SET", key, f"{int(first_ms) - age_ms}:{rest}", "KEEPTTL")
            assert await used_list.mark_used(use, timeout=TIMEOUT) is outcome, age_ms
            assert await used_list.mark_used(replay_of(use), timeout=TIMEOUT) is USED


@pytest.mark.parametrize("rubbish", ["", "rubbish", "12:", ":", "x:NONCE:", ":NONCE:", "nan:NONCE:", "NONCE"])
async def test_a_use_that_is_not_ours_is_still_a_use(store: StoreProcess, rubbish: str) -> None:
    async with listed(store.url) as used_list:
        use = a_use()
        store.command("SET", USED_PREFIX + use.key.hex(), rubbish.replace("NONCE", use.nonce.hex()))
        assert await used_list.mark_used(use, timeout=TIMEOUT) is USED


async def test_a_policy_that_may_evict_is_refused_unless_nothing_is_ever_full(own_store: StoreProcess) -> None:
    async with listed(own_store.url) as used_list:
        own_store.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        assert await used_list.mark_used(a_use(), timeout=TIMEOUT) is FIRST  # maxmemory is 0: no limit, no eviction
        own_store.command("CONFIG", "SET", "maxmemory", "1gb")
        use = a_use()
        assert await used_list.mark_used(use, timeout=TIMEOUT) is SpendOutcome.UNSAFE
        health = await used_list.health()
        assert not health.ready
        assert "maxmemory-policy" in health.detail
        assert [server.state for server in health.servers] == [StoreState.EVICTS]
        assert own_store.command("EXISTS", USED_PREFIX + use.key.hex()) == 0


def test_of_sixteen_threads_with_lists_of_their_own_one_wins(store: StoreProcess) -> None:
    """As many processes would: nothing is shared but the store."""
    use = a_use(issued_at_ms=SkewedClock().now_ms() + MARGIN_MS + 5000)
    outcomes: list[SpendOutcome] = []
    together = threading.Barrier(16)

    async def spend() -> None:
        async with listed(settings_for(store.url)) as used_list:
            together.wait()
            outcomes.append(await used_list.mark_used(replay_of(use), timeout=TIMEOUT))

    threads = [threading.Thread(target=lambda: asyncio.run(spend())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes, key=lambda outcome: outcome.value) == [FIRST] + [USED] * 15
