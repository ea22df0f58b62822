"""Counters: of all that is charged at once, exactly what the limit allows is let through, on every store."""

import asyncio
import dataclasses
import secrets
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest

from ott_extauthz.ports import LARGEST_COUNT, Charge, Spend, SpendOutcome, Use, UsedList
from ott_extauthz.stores.memory import MemoryUsedList
from ott_extauthz.stores.redislist.routed import leased_margin_ms
from tests.charging import LIFE_MS, TIMEOUT, budget, charging, list_at, race, race_of_processes, rate
from tests.deployments import independent, sharded, watched
from tests.fakes.clock import FakeClock, SkewedClock
from tests.processes import REDIS, VALKEY, Engine, StoreProcess, running
from tests.sql_lists import SqlStore, delete_files, sql_store
from tests.used_lists import BOUNDS, EXPIRED, FENCED, FIRST, MARGIN_MS, USED, used_in_time

LIMITED, EXHAUSTED = SpendOutcome.RATE_LIMITED, SpendOutcome.BUDGET_EXHAUSTED
LEASED_MARGIN_MS = leased_margin_ms(BOUNDS)
CONNECTIONS = 3


@dataclasses.dataclass
class Backend:
    """One store that several processes may share; ``forget`` makes it forget counters, and perhaps all else."""

    url: str
    forget: Callable[[], object]
    margin_ms: int


@dataclasses.dataclass
class Desk:
    """The used-lists of one test: each has connections of its own, all share one store."""

    lists: list[UsedList]
    now_ms: Callable[[], int]
    wait: Callable[[int], Awaitable[None]]
    forget: Callable[[], Awaitable[None]]
    margin_ms: int
    url: str = ""
    next_list: int = 0

    def fresh_ms(self) -> int:
        """Return an instant that no fence of now concerns, and every later one does."""
        return self.now_ms() + self.margin_ms + 1

    def use(self, *charges: Charge, key: bytes = b"") -> Use:
        # As long after now as a test may take: a fence that moves meanwhile is to stop budgets, not tokens.
        return charging(self.now_ms(), self.now_ms() + 3 * self.margin_ms + 60_000, *charges, key=key)

    async def spend(self, use: Use) -> Spend:
        self.next_list += 1
        spender = self.lists[self.next_list % len(self.lists)]
        return await spender.mark_used(dataclasses.replace(use, now_ms=self.now_ms()), timeout=TIMEOUT)

    async def outcome(self, *charges: Charge) -> SpendOutcome:
        return (await self.spend(self.use(*charges))).outcome

    async def taken(self, charge: Charge) -> int:
        """Find out how much of a budget was taken, by what still fits of it."""
        left = 0
        while await self.outcome(dataclasses.replace(charge, cost=1)) is FIRST:
            left += 1
        return charge.limit - left


def _flush(*servers: StoreProcess) -> None:
    for server in servers:
        server.command("FLUSHALL")


def _of_servers(kind: str, engine: Engine, folder: Path, stack: ExitStack) -> Backend:
    if engine.program is None:
        pytest.skip(engine.why_not)
    match kind:
        case "single":
            store = stack.enter_context(running(engine, folder))
            return Backend(store.url, lambda: _flush(store), MARGIN_MS)
        case "sentinel":
            failover = stack.enter_context(watched(engine, folder, replicas=1))
            return Backend(failover.url, lambda: _flush(failover.primary), LEASED_MARGIN_MS)
        case "cluster":
            shards = stack.enter_context(sharded(engine, folder))
            return Backend(shards.url, lambda: _flush(*shards.primaries), LEASED_MARGIN_MS)
        case _:
            voters = stack.enter_context(independent(engine, folder))
            return Backend(voters.url, lambda: _flush(*voters.servers), MARGIN_MS)


def _of_sql(kind: str, folder: Path, stack: ExitStack) -> Backend:
    store: SqlStore = stack.enter_context(sql_store(kind, folder))
    if store.path is not None:
        path = store.path
        return Backend(store.url, lambda: delete_files(path), store.margin_ms)
    return Backend(store.url, lambda: store.sql("TRUNCATE ott_counters"), store.margin_ms)


KINDS: list[tuple[str, Engine | None]] = [
    ("memory", None), ("sqlite", None), ("postgresql", None), ("single", VALKEY), ("single", REDIS),
    ("sentinel", VALKEY), ("cluster", VALKEY), ("quorum", VALKEY),
]  # fmt: skip


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind[0] + (f"-{kind[1].name[:6]}" if kind[1] else ""))
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend | None]:
    kind, engine = request.param
    folder = tmp_path_factory.mktemp(kind)
    with ExitStack() as stack:
        if engine is not None:
            yield _of_servers(kind, engine, folder, stack)
        else:
            yield None if kind == "memory" else _of_sql(kind, folder, stack)
    shutil.rmtree(folder, ignore_errors=True)


def _in_memory() -> Desk:
    clock = FakeClock()

    async def wait(milliseconds: int) -> None:
        clock.advance(milliseconds)

    desk = Desk([MemoryUsedList(clock=clock, iat_lead_ms=50)], clock.now_ms, wait, lambda: forget(), 50)  # noqa: PLW0108

    async def forget() -> None:
        clock.advance(10)
        desk.lists = [MemoryUsedList(clock=clock, iat_lead_ms=50)]

    return desk


async def _of_backend(backend: Backend, stack: AsyncExitStack) -> Desk:
    async def wait(milliseconds: int) -> None:
        await asyncio.sleep(milliseconds / 1000)

    async def forget() -> None:
        await asyncio.sleep(0.01)
        await asyncio.to_thread(backend.forget)
        for each in lists:  # what a look does every second anyway
            await each.health()

    lists = [list_at(backend.url) for _ in range(CONNECTIONS)]
    for each in lists:
        await each.start()
        stack.push_async_callback(each.close)
    return Desk(lists, SkewedClock().now_ms, wait, forget, backend.margin_ms, backend.url)


@pytest.fixture
async def desk(backend: Backend | None) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        yield _in_memory() if backend is None else await _of_backend(backend, stack)


def a_key() -> bytes:
    return secrets.token_bytes(32)


async def test_a_hundred_at_once_get_exactly_what_a_budget_of_ten_allows(desk: Desk) -> None:
    charge = budget(desk.fresh_ms(), 10, key=a_key())
    answers = await asyncio.gather(*(desk.spend(desk.use(charge)) for _ in range(100)))
    assert Counter(answer.outcome for answer in answers) == {FIRST: 10, EXHAUSTED: 90}
    assert await desk.outcome(charge) is EXHAUSTED


async def test_several_processes_at_once_get_exactly_what_a_budget_of_ten_allows(desk: Desk) -> None:
    if not desk.url:
        pytest.skip("one process has it alone")
    since_ms = desk.fresh_ms()
    outcomes = await asyncio.to_thread(race_of_processes, desk.url, 2, 50, since_ms, 10)
    assert Counter(outcomes) == {FIRST: 10, EXHAUSTED: 90}
    assert set(await race(desk.lists, 5, since_ms, 10)) == {EXHAUSTED}


async def test_a_hundred_at_once_get_exactly_the_burst_of_a_rate(desk: Desk) -> None:
    charge = rate(10, 3_600_000, key=a_key())
    answers = await asyncio.gather(*(desk.spend(desk.use(charge)) for _ in range(100)))
    assert Counter(answer.outcome for answer in answers) == {FIRST: 10, LIMITED: 90}
    assert all(0 < (answer.retry_after_ms or 0) <= 360_000 for answer in answers if answer.outcome is LIMITED)


async def test_costs_add_up_and_stop_at_the_limit(desk: Desk) -> None:
    since, key = desk.fresh_ms(), a_key()
    costs = [700, 300, 1, 0]
    outcomes = [await desk.outcome(budget(since, 1000, cost, key=key)) for cost in costs]
    assert outcomes == [FIRST, FIRST, EXHAUSTED, FIRST]  # to take nothing is possible even when nothing is left


@pytest.mark.parametrize(
    "cost", [11, LARGEST_COUNT, LARGEST_COUNT + 1, 2**63 - 1, 2**63, 10**40, pytest.param(10**5000, id="5001 digits")]
)
async def test_a_cost_above_the_limit_never_fits_however_large(desk: Desk, cost: int) -> None:
    since, key = desk.fresh_ms(), a_key()
    assert await desk.outcome(budget(since, 10, cost, key=key)) is EXHAUSTED
    assert await desk.outcome(budget(since, 10, 10, key=key)) is FIRST
    assert await desk.outcome(budget(since, 10, cost, key=key)) is EXHAUSTED


async def test_the_largest_budget_is_counted_to_the_last_unit(desk: Desk) -> None:
    """2**53: where doubles, which Lua computes in, no longer tell one number from the next."""
    since, key = desk.fresh_ms(), a_key()
    costs = [2**63, LARGEST_COUNT - 2, 1, 2, 1, 1, 2**53]
    outcomes = [await desk.outcome(budget(since, LARGEST_COUNT, cost, key=key)) for cost in costs]
    assert outcomes == [EXHAUSTED, FIRST, FIRST, EXHAUSTED, FIRST, EXHAUSTED, EXHAUSTED]


async def test_a_limit_of_nothing_lets_nothing_through_but_what_costs_nothing(desk: Desk) -> None:
    since, key = desk.fresh_ms(), a_key()
    assert await desk.outcome(budget(since, 0, 1, key=key)) is EXHAUSTED
    assert await desk.outcome(budget(since, 0, 0, key=key)) is FIRST


async def test_a_refused_charge_leaves_the_token_spendable(desk: Desk) -> None:
    full, other = budget(desk.fresh_ms(), 0, key=a_key()), budget(desk.fresh_ms(), 1, key=a_key())
    use = desk.use(full)
    for _ in range(3):
        assert (await desk.spend(use)).outcome is EXHAUSTED
    assert (await desk.spend(dataclasses.replace(use, charges=(other,)))).outcome is FIRST
    assert (await desk.spend(_replay(use))).outcome is USED


async def test_a_replay_is_a_replay_whatever_the_counters_say(desk: Desk) -> None:
    charge = budget(desk.fresh_ms(), 1, key=a_key())
    use = desk.use(charge)
    assert (await desk.spend(use)).outcome is FIRST
    assert await desk.outcome(charge) is EXHAUSTED
    assert (await desk.spend(_replay(use))).outcome is USED
    stale = dataclasses.replace(charge, since_ms=0)
    assert (await desk.spend(dataclasses.replace(_replay(use), charges=(stale,)))).outcome is USED


async def test_replays_and_repeats_charge_nothing(desk: Desk) -> None:
    charges = (budget(desk.fresh_ms(), 2, key=a_key()), rate(2, 3_600_000, key=a_key()))
    use = desk.use(*charges)
    for _ in range(5):
        assert (await desk.spend(use)).outcome is FIRST  # its own write: a reply was lost, and the call sent again
        assert (await desk.spend(_replay(use))).outcome is USED
    assert [await desk.outcome(*charges) for _ in range(2)] == [FIRST, EXHAUSTED]


async def test_of_two_budgets_one_full_neither_is_charged(desk: Desk) -> None:
    roomy, full = budget(desk.fresh_ms(), 5, key=a_key()), budget(desk.fresh_ms(), 1, key=a_key())
    assert await desk.outcome(full) is FIRST
    for charges in ((roomy, full), (full, roomy)):
        assert await desk.outcome(*charges) is EXHAUSTED
    assert await desk.taken(roomy) == 0


async def test_a_full_rate_takes_nothing_from_the_budget_nor_the_other_way_round(desk: Desk) -> None:
    since = desk.fresh_ms()
    quick, money = rate(2, 3_600_000, key=a_key()), budget(since, 3, 2, key=a_key())
    assert await desk.outcome(quick, money) is FIRST
    assert await desk.outcome(quick, money) is EXHAUSTED
    assert await desk.outcome(quick) is FIRST
    refused = await desk.spend(desk.use(dataclasses.replace(money, cost=1), quick))
    assert (refused.outcome, (refused.retry_after_ms or 0) > 0) == (LIMITED, True)
    assert await desk.outcome(quick, money) is EXHAUSTED  # to wait would not help
    assert await desk.taken(money) == 2


async def test_the_longest_of_several_waits_is_told(desk: Desk) -> None:
    short, long = rate(1, 60_000, key=a_key()), rate(1, 3_600_000, key=a_key())
    assert await desk.outcome(short, long) is FIRST
    for charges in ((short, long), (long, short)):
        refused = await desk.spend(desk.use(*charges))
        assert refused.outcome is LIMITED
        assert 3_500_000 < (refused.retry_after_ms or 0) <= 3_600_000


async def test_one_counter_charged_twice_by_one_use_counts_both(desk: Desk) -> None:
    charge = budget(desk.fresh_ms(), 5, 2, key=a_key())
    assert await desk.outcome(charge, charge) is FIRST
    assert await desk.outcome(charge, charge) is EXHAUSTED
    assert await desk.taken(charge) == 4


async def test_a_charge_that_ends_earlier_does_not_have_the_budget_forgotten(desk: Desk) -> None:
    """An issuer that renews a mandate under its name, with another end: the old one must not open the budget again."""

    async def attempt(life_ms: int) -> tuple[Charge, SpendOutcome]:
        charge = budget(desk.fresh_ms(), 2, key=a_key())
        assert await desk.outcome(charge) is FIRST
        soon = dataclasses.replace(charge, keep_until_ms=desk.now_ms() + life_ms)
        return soon, await desk.outcome(soon)

    soon = await used_in_time(attempt)
    await desk.wait(soon.keep_until_ms - desk.now_ms() + 500)
    assert await desk.outcome(dataclasses.replace(soon, keep_until_ms=soon.since_ms + LIFE_MS)) is EXHAUSTED


async def test_accounts_and_kinds_do_not_share_a_counter(desk: Desk) -> None:
    key = a_key()
    assert await desk.outcome(budget(desk.fresh_ms(), 1, key=key), rate(1, 3_600_000, key=key)) is FIRST
    assert await desk.outcome(budget(desk.fresh_ms(), 1, key=a_key())) is FIRST
    assert await desk.outcome(rate(1, 3_600_000, key=key)) is LIMITED


async def test_attempts_on_one_token_at_once_have_one_winner_and_one_charge(desk: Desk) -> None:
    """The dearest one is refused, and must not stand in the way of one that fits."""
    since, key, charge_key = desk.fresh_ms(), a_key(), a_key()
    uses = [desk.use(budget(since, 10, cost, key=charge_key), key=key) for cost in (11, 12, 3, 3, 11, 3)]
    answers = [answer.outcome for answer in await asyncio.gather(*(desk.spend(use) for use in uses))]
    assert answers.count(FIRST) == 1
    assert {answers[at] for at in (0, 1, 4)} <= {EXHAUSTED, USED}
    assert await desk.taken(budget(since, 10, key=charge_key)) == 3


async def test_a_budget_from_before_the_fence_is_fenced_and_leaves_the_token_unspent(desk: Desk) -> None:
    at_the_fence = budget(desk.now_ms() - 60_000, 10, key=a_key())
    use = desk.use(at_the_fence)
    assert (await desk.spend(use)).outcome is FENCED
    assert (await desk.spend(dataclasses.replace(use, charges=()))).outcome is FIRST


async def test_a_budget_is_never_begun_anew_by_a_store_that_forgot(desk: Desk) -> None:
    charge, quick = budget(desk.fresh_ms(), 3, key=a_key()), rate(1, 3_600_000, key=a_key())
    assert await desk.outcome(charge, quick) is FIRST
    await desk.forget()
    for _ in range(3):
        assert await desk.outcome(charge) is FENCED
    assert await desk.outcome(budget(desk.fresh_ms(), 3, key=a_key()), quick) is FIRST  # a rate begins anew


async def test_a_budget_that_has_ended_is_not_begun_again(desk: Desk) -> None:
    async def attempt(life_ms: int) -> tuple[Charge, SpendOutcome]:
        charge = budget(desk.fresh_ms(), 1, key=a_key(), until_ms=desk.now_ms() + life_ms)
        return charge, await desk.outcome(charge)

    charge = await used_in_time(attempt)
    await desk.wait(charge.keep_until_ms - desk.now_ms() + 20)
    use = desk.use(charge)
    assert (await desk.spend(use)).outcome is EXPIRED
    assert (await desk.spend(dataclasses.replace(use, charges=()))).outcome is FIRST


async def test_a_rate_lets_a_burst_through_then_one_at_each_interval_and_forgives_when_idle(desk: Desk) -> None:
    for interval_ms in (400, 1600, 6400):
        if await _was_seen_to_keep_its_pace(desk, interval_ms):
            return
    pytest.fail("three uses take this machine longer than 6 s")


async def _was_seen_to_keep_its_pace(desk: Desk, interval_ms: int) -> bool:
    """Spend at a rate; False where the uses took so long that one more of them was due before it could be refused."""
    quick, began = rate(2, 2 * interval_ms, key=a_key()), desk.now_ms()
    assert [await desk.outcome(quick) for _ in range(2)] == [FIRST, FIRST]
    for number in (1, 2):
        refused = await desk.spend(desk.use(quick))
        if desk.now_ms() >= began + number * interval_ms:
            return False
        assert refused.outcome is LIMITED
        assert refused.retry_after_ms is not None
        assert 0 < refused.retry_after_ms <= interval_ms
        await desk.wait(refused.retry_after_ms)
        assert await desk.outcome(quick) is FIRST
    await desk.wait(2 * interval_ms + 100)
    began = desk.now_ms()
    outcomes = [await desk.outcome(quick) for _ in range(3)]
    if desk.now_ms() >= began + interval_ms:
        return False
    assert outcomes == [FIRST, FIRST, LIMITED]
    return True


def _replay(use: Use) -> Use:
    return dataclasses.replace(use, nonce=secrets.token_bytes(16))
