"""What the port promises, asked of every implementation: at most one FIRST_USE for each token."""

import asyncio
import dataclasses
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.model.token import TokenId
from ott_extauthz.ports import SpendOutcome, StoreState, Use, UsedList, UsedListError, UsedListFault
from ott_extauthz.stores.memory import MemoryUsedList
from tests.fakes.clock import FakeClock, SkewedClock
from tests.processes import REDIS, VALKEY, Engine, StoreProcess, running
from tests.sql_lists import SQL_KINDS, SqlStore, sql_listed, sql_store
from tests.used_lists import EXPIRED, FENCED, FIRST, MARGIN_MS, USED, listed, since_ms, used_in_time

IAT_LEAD_MS = 50


@dataclasses.dataclass(frozen=True)
class Subject:
    """One implementation, and what the suite must know about it to ask the same of all."""

    used_list: UsedList
    now_ms: Callable[[], int]
    wait: Callable[[int], Awaitable[None]]
    since_ms: Callable[[], int]
    margin_ms: int
    clock_is_ours: bool = False

    async def mark(self, use: Use) -> SpendOutcome:
        return (await self.used_list.mark_used(dataclasses.replace(use, now_ms=self.now_ms()), timeout=5)).outcome

    def use(self, *, key: bytes | None = None, after_fence_ms: int = 1, keep_ms: int = 60_000) -> Use:
        """Make a use; ``after_fence_ms`` counts from the last instant that the fence refuses."""
        return Use(
            key=key or secrets.token_bytes(32),
            nonce=secrets.token_bytes(16),
            issued_at_ms=self.since_ms() + self.margin_ms + after_fence_ms,
            keep_until_ms=self.now_ms() + keep_ms,
            now_ms=self.now_ms(),
        )


def another_attempt(use: Use) -> Use:
    return dataclasses.replace(use, nonce=secrets.token_bytes(16))


def _memory() -> Subject:
    clock = FakeClock()
    since = clock.now_ms()

    async def wait(milliseconds: int) -> None:
        clock.advance(milliseconds)
        await asyncio.sleep(0)

    used_list = MemoryUsedList(clock=clock, iat_lead_ms=IAT_LEAD_MS)
    return Subject(used_list, clock.now_ms, wait, lambda: since, IAT_LEAD_MS, clock_is_ours=True)


def _stored(used_list: UsedList, since: Callable[[], int], margin_ms: int) -> Subject:
    async def wait(milliseconds: int) -> None:
        await asyncio.sleep(milliseconds / 1000)

    return Subject(used_list, SkewedClock().now_ms, wait, since, margin_ms)


def _running(what: Engine | str, folder: Path) -> AbstractContextManager[StoreProcess | SqlStore]:
    if isinstance(what, str):
        return sql_store(what, folder)
    if what.program is None:
        pytest.skip(what.why_not)
    return running(what, folder)


@pytest.fixture(scope="module", params=[None, VALKEY, REDIS, *SQL_KINDS], ids=["memory", "valkey", "redis", *SQL_KINDS])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StoreProcess | SqlStore | None]:
    what: Engine | str | None = request.param
    if what is None:
        yield None
        return
    with _running(what, tmp_path_factory.mktemp("store")) as started:
        yield started


@pytest.fixture
async def subject(store: StoreProcess | SqlStore | None) -> AsyncIterator[Subject]:
    if store is None:
        memory = _memory()
        await memory.used_list.start()
        yield memory
        await memory.used_list.close()
    elif isinstance(store, SqlStore):
        async with sql_listed(store) as in_database:
            yield _stored(in_database.used_list, store.since_ms, store.margin_ms)
    else:
        async with listed(store.url) as used_list:
            yield _stored(used_list.used_list, lambda: since_ms(store), MARGIN_MS)


async def test_first_use_is_accepted_and_every_other_attempt_refused(subject: Subject) -> None:
    use = subject.use()
    assert await subject.mark(use) is FIRST
    for _ in range(3):
        assert await subject.mark(another_attempt(use)) is USED


async def test_the_same_attempt_recognises_its_own_write(subject: Subject) -> None:
    """A reply was lost and the call sent again: that is not a replay, and must not cost the client its token."""
    use = subject.use()
    assert [await subject.mark(use) for _ in range(3)] == [FIRST, FIRST, FIRST]
    assert await subject.mark(another_attempt(use)) is USED


async def test_a_nonce_that_begins_like_the_first_one_is_another_attempt(subject: Subject) -> None:
    use = subject.use()
    assert await subject.mark(use) is FIRST
    assert await subject.mark(dataclasses.replace(use, nonce=use.nonce[:-1])) is USED
    assert await subject.mark(dataclasses.replace(use, nonce=use.nonce + b":")) is USED


async def test_one_issuers_jti_does_not_burn_anothers(subject: Subject) -> None:
    one, other = (TokenId(issuer, "same-jti").digest for issuer in ("https://a.example", "https://b.example"))
    assert await subject.mark(subject.use(key=one)) is FIRST
    assert await subject.mark(subject.use(key=other)) is FIRST
    assert await subject.mark(subject.use(key=one)) is USED


async def test_a_use_whose_end_has_come_is_refused_and_stays_refused(subject: Subject) -> None:
    """SET … NX with a past expiry answers "first use" every time and keeps nothing: it must never be asked."""
    for keep_ms in (0, -1, -60_000):
        use = subject.use(keep_ms=keep_ms)
        for _ in range(3):
            assert await subject.mark(another_attempt(use)) is EXPIRED


async def test_a_token_that_was_used_never_comes_back_once_it_is_forgotten(subject: Subject) -> None:

    async def attempt(life_ms: int) -> tuple[Use, SpendOutcome]:
        use = subject.use(keep_ms=life_ms)
        return use, await subject.mark(use)

    use = await used_in_time(attempt)
    await subject.wait(use.keep_until_ms - subject.now_ms() + 20)
    assert await subject.mark(use) is EXPIRED
    assert await subject.mark(another_attempt(use)) is EXPIRED


async def test_a_use_that_is_to_be_kept_for_a_day_or_a_month_is_kept(subject: Subject) -> None:
    """Events outlive every token: no list may end a use at what a token lives."""
    for keep_ms in (86_400_000, 31 * 86_400_000):
        use = subject.use(keep_ms=keep_ms)
        assert await subject.mark(use) is FIRST
        assert await subject.mark(another_attempt(use)) is USED
        at_its_end = dataclasses.replace(another_attempt(use), now_ms=use.keep_until_ms - 1)
        if subject.clock_is_ours:
            assert (await subject.used_list.mark_used(at_its_end, timeout=5)).outcome is USED


@pytest.mark.parametrize(("after_fence_ms", "expected"), [(-60_000, FENCED), (-1, FENCED), (0, FENCED), (1, FIRST)])
async def test_the_fence_refuses_up_to_its_margin_and_not_a_millisecond_more(
    subject: Subject, after_fence_ms: int, expected: SpendOutcome
) -> None:
    assert await subject.mark(subject.use(after_fence_ms=after_fence_ms)) is expected


async def test_a_fenced_token_stays_fenced(subject: Subject) -> None:
    use = subject.use(after_fence_ms=0)
    await subject.wait(20)
    assert await subject.mark(use) is FENCED
    assert await subject.mark(use) is FENCED


async def test_two_hundred_at_once_have_exactly_one_winner(subject: Subject) -> None:
    use = subject.use()
    outcomes = await asyncio.gather(*(subject.mark(another_attempt(use)) for _ in range(200)))
    assert sorted(outcomes, key=lambda outcome: outcome.value) == [FIRST] + [USED] * 199


async def test_two_hundred_tokens_at_once_are_all_accepted(subject: Subject) -> None:
    use = subject.use()
    uses = [dataclasses.replace(another_attempt(use), key=secrets.token_bytes(32)) for _ in range(200)]
    assert await asyncio.gather(*(subject.mark(use) for use in uses)) == [FIRST] * 200


async def test_it_says_that_it_can_serve(subject: Subject) -> None:
    health = await subject.used_list.health()
    assert health.ready, health.detail
    assert "\n" not in health.detail


async def test_it_says_of_each_server_that_it_is_whole_and_since_when(subject: Subject) -> None:
    servers = (await subject.used_list.health()).servers
    assert servers
    assert len({server.name for server in servers}) == len(servers)
    for server in servers:
        assert server.name
        assert server.state is StoreState.WHOLE
        assert server.since_ms is not None
        assert server.since_ms > 0
        assert server.ahead_ms is not None


async def test_a_closed_list_raises_and_the_token_is_unspent(subject: Subject) -> None:
    use = subject.use()
    await subject.used_list.close()
    with pytest.raises(UsedListError) as caught:
        await subject.mark(use)
    assert (caught.value.fault, caught.value.token_state) == (UsedListFault.CLOSED, TokenState.UNSPENT)
    assert not (await subject.used_list.health()).ready
