"""A pool hands out every token once, and none that is too old to arrive."""

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from ott_extauthz.client.pool import LARGEST_BATCH, TokenPool
from ott_extauthz.ports import MintedToken, TokenSourceError, TokenWanted
from tests.fakes.issuing import SetClock
from tests.fakes.token_source import SetSource

WALLET = TokenWanted(audience="wallet.api")
LEDGER = TokenWanted(audience="ledger.api")


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def source(clock: SetClock) -> SetSource:
    return SetSource(clock)


@pytest.fixture
def pool(source: SetSource, clock: SetClock) -> TokenPool:
    return TokenPool(source, clock)


async def settled() -> None:
    """Let every task go as far as it comes; nothing here waits for time."""
    for _ in range(20):
        await asyncio.sleep(0)


async def texts(pool: TokenPool, count: int, wanted: TokenWanted = WALLET) -> list[str]:
    return [token.text for token in await asyncio.gather(*(pool.take(wanted) for _ in range(count)))]


async def test_two_hundred_callers_at_once_get_a_token_each_of_one_refill(pool: TokenPool, source: SetSource) -> None:
    taken = await texts(pool, 200)
    assert len(set(taken)) == 200
    assert source.orders[0] == (WALLET, LARGEST_BATCH)
    assert source.most_at_once == 1


async def test_a_thousand_callers_take_several_batches_one_after_the_other(pool: TokenPool, source: SetSource) -> None:
    assert len(set(await texts(pool, 1000))) == 1000
    assert max(count for _, count in source.orders) == LARGEST_BATCH
    assert source.most_at_once == 1


async def test_a_steady_caller_never_waits_again_once_its_rate_is_known(
    pool: TokenPool, source: SetSource, clock: SetClock
) -> None:
    for _ in range(100):
        await pool.take(WALLET)
        clock.at_ms += 20
        await settled()
    for _ in range(200):
        assert pool.ready(WALLET), "it ran dry"
        await pool.take(WALLET)
        clock.at_ms += 20
        await settled()
    assert max(count for _, count in source.orders) > 10, "fetched one by one"


async def test_an_idle_pool_mints_nothing(pool: TokenPool, source: SetSource, clock: SetClock) -> None:
    await texts(pool, 50)
    await settled()
    asked = len(source.orders)
    clock.at_ms += 3_600_000
    await settled()
    assert len(source.orders) == asked


async def test_what_is_kept_is_bounded(source: SetSource, clock: SetClock) -> None:
    pool = TokenPool(source, clock, most_kept=20)
    await texts(pool, 1000)
    await settled()
    assert pool.ready(WALLET) <= 20


async def test_a_token_with_less_than_a_third_of_its_life_left_is_never_handed_out(
    pool: TokenPool, source: SetSource, clock: SetClock
) -> None:
    source.lifetime_ms = 30_000
    await texts(pool, 3)
    await settled()
    assert pool.ready(WALLET)
    clock.at_ms += 20_000
    at_the_limit = await pool.take(WALLET)
    assert at_the_limit.expires_at_ms - clock.at_ms == 10_000
    clock.at_ms += 1
    fresh = await pool.take(WALLET)
    assert fresh.issued_at_ms == clock.at_ms


async def test_age_is_counted_from_before_the_request_so_that_a_slow_answer_makes_no_young_token(
    pool: TokenPool, source: SetSource, clock: SetClock
) -> None:
    """The issuer's clock may be ahead: a token is no younger than our asking for it, whatever its iat says."""
    source.gate.clear()
    waiting = asyncio.create_task(pool.take(WALLET))
    await settled()
    clock.at_ms += 20_001
    source.gate.set()
    with pytest.raises(TokenSourceError, match="less than a third"):
        await waiting


async def test_a_clock_that_is_set_forward_ages_what_is_kept(source: SetSource) -> None:
    class Slept(SetClock):
        def monotonic(self) -> float:
            return 1.0  # the machine slept: this clock stood still

    clock = Slept()
    source.clock = clock
    pool = TokenPool(source, clock)
    await texts(pool, 2)
    clock.at_ms += 3_600_000
    assert (await pool.take(WALLET)).issued_at_ms == clock.at_ms


async def test_a_refusal_is_told_to_all_who_wait_and_to_who_comes_soon_after_without_asking_again(
    pool: TokenPool, source: SetSource, clock: SetClock
) -> None:
    source.refuse()
    outcomes = await asyncio.gather(*(pool.take(WALLET) for _ in range(100)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {TokenSourceError}
    assert len({id(outcome) for outcome in outcomes}) == 100, "one exception in many tasks gathers their tracebacks"
    with pytest.raises(TokenSourceError, match="no tokens today"):
        await pool.take(WALLET)
    assert len(source.orders) == 1
    source.fault = None
    clock.at_ms += 51
    assert (await pool.take(WALLET)).text


async def test_an_outage_is_asked_about_ever_less_often(pool: TokenPool, source: SetSource, clock: SetClock) -> None:
    source.refuse()
    for _ in range(10_000):  # 100 seconds, a caller every 10 ms
        with pytest.raises(TokenSourceError):
            await pool.take(WALLET)
        clock.at_ms += 10
    assert 50 <= len(source.orders) <= 60


async def test_a_lasting_refusal_stays_lasting_and_is_asked_about_seldom(
    pool: TokenPool, source: SetSource, clock: SetClock
) -> None:
    source.refuse(is_lasting=True)
    for _ in range(2):
        with pytest.raises(TokenSourceError) as refusal:
            await pool.take(WALLET)
        assert refusal.value.is_lasting
        clock.at_ms += 1000
    assert len(source.orders) == 1


async def test_tokens_in_stock_outlast_an_outage(pool: TokenPool, source: SetSource, clock: SetClock) -> None:
    await texts(pool, 10)
    await settled()
    source.refuse()
    ready = pool.ready(WALLET)
    asked = len(source.orders)
    assert len(set(await texts(pool, ready - 1))) == ready - 1
    await settled()
    await pool.take(WALLET)
    await settled()
    assert pool.ready(WALLET) == 0
    assert len(source.orders) == asked + 1, "asked again before the pause was over"


async def test_what_was_asked_for_before_a_discard_is_never_handed_out(pool: TokenPool, source: SetSource) -> None:
    source.gate.clear()
    waiting = asyncio.create_task(pool.take(WALLET))
    await settled()
    pool.discard(WALLET)
    source.gate.set()
    before = source.orders[0][1]
    assert int((await waiting).text) >= before
    pool.discard()
    assert pool.ready(WALLET) == 0


async def test_a_discard_of_one_kind_leaves_the_others(pool: TokenPool) -> None:
    await texts(pool, 10, WALLET)
    await texts(pool, 10, LEDGER)
    await settled()
    pool.discard(WALLET)
    assert pool.ready(WALLET) == 0
    assert pool.ready(LEDGER)


async def test_a_token_for_one_request_is_minted_for_it_alone(pool: TokenPool, source: SetSource) -> None:
    bound = TokenWanted(audience="wallet.api", htm="POST", htp="/debit", digest=bytes(32))
    first, second = await pool.take(bound), await pool.take(bound)
    assert first.text != second.text
    assert source.orders == [(bound, 1), (bound, 1)]
    assert pool.ready(bound) == 0


async def test_who_gives_up_waiting_takes_no_token_with_him(pool: TokenPool, source: SetSource) -> None:
    source.gate.clear()
    impatient = [asyncio.create_task(pool.take(WALLET)) for _ in range(5)]
    await settled()
    for task in impatient:
        task.cancel()
    patient = asyncio.create_task(pool.take(WALLET))
    await settled()
    source.gate.set()
    assert (await patient).text == "0"


async def test_who_comes_as_a_refill_ends_is_served(pool: TokenPool, source: SetSource) -> None:
    """Between the last look of a refill and its end nobody may slip in and wait for ever."""
    for _ in range(50):
        pool.discard()
        first = asyncio.create_task(pool.take(WALLET))
        for turns in range(8):
            for _ in range(turns):
                await asyncio.sleep(0)
            pool.discard()
            assert (await asyncio.wait_for(pool.take(WALLET), 30)).text
        await first


@pytest.mark.parametrize(
    "lie", [lambda made: made[:-1], lambda made: [*made, *made], lambda made: made[:1] * len(made)]
)
async def test_a_source_that_mints_other_than_ordered_is_not_believed(clock: SetClock, lie: Any) -> None:
    class Lying(SetSource):
        async def mint(self, wanted: TokenWanted, count: int) -> Sequence[MintedToken]:
            return list(lie(list(await super().mint(wanted, count))))

    pool = TokenPool(Lying(clock), clock)
    outcomes = await asyncio.gather(*(pool.take(WALLET) for _ in range(3)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {TokenSourceError}


async def test_a_fault_of_the_source_reaches_who_waits(pool: TokenPool, source: SetSource) -> None:
    source.fault = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        await pool.take(WALLET)
    source.fault = None
    assert (await pool.take(WALLET)).text


async def test_a_closed_pool_says_so_to_who_waits_and_to_who_comes(pool: TokenPool, source: SetSource) -> None:
    source.gate.clear()
    waiting = asyncio.create_task(pool.take(WALLET))
    await settled()
    await pool.aclose()
    for coming in (waiting, pool.take(WALLET)):
        with pytest.raises(TokenSourceError, match="closed"):
            await coming
    assert source.at_once == 0


async def test_kinds_are_bounded_whatever_paths_an_application_asks_for(source: SetSource, clock: SetClock) -> None:
    pool = TokenPool(source, clock, most_kinds=8)
    for number in range(100):
        await pool.take(TokenWanted(audience="wallet.api", htm="GET", htp=f"/wallets/{number}"))
        await settled()
    assert len(pool._kinds) <= 8


async def test_a_kind_somebody_waits_for_is_not_forgotten(source: SetSource, clock: SetClock) -> None:
    pool = TokenPool(source, clock, most_kinds=2)
    source.gate.clear()
    waiting = [asyncio.create_task(pool.take(TokenWanted(audience=f"a{number}"))) for number in range(5)]
    await settled()
    source.gate.set()
    assert len({token.text for token in await asyncio.gather(*waiting)}) == 5


async def test_a_kind_somebody_waits_for_hears_of_the_end(source: SetSource, clock: SetClock) -> None:
    pool = TokenPool(source, clock, most_kinds=2)
    source.gate.clear()
    waiting = [asyncio.create_task(pool.take(TokenWanted(audience=f"a{number}"))) for number in range(5)]
    await settled()
    await pool.aclose()
    outcomes = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 30)
    assert {type(outcome) for outcome in outcomes} == {TokenSourceError}


async def test_what_was_minted_for_those_who_gave_up_is_not_all_kept(source: SetSource, clock: SetClock) -> None:
    pool = TokenPool(source, clock, most_kept=5)
    source.gate.clear()
    waiting = [asyncio.create_task(pool.take(WALLET)) for _ in range(50)]
    await settled()
    for task in waiting:
        task.cancel()
    source.gate.set()
    await settled()
    assert pool.ready(WALLET) == 5


async def test_no_token_shows_in_a_repr(pool: TokenPool, source: SetSource) -> None:
    secret = itertools.count()
    source._token = lambda: MintedToken(f"secret-{next(secret)}", 0, 30_000)  # type: ignore[method-assign]
    token = await pool.take(WALLET)
    assert "secret" not in repr(token) + repr(pool) + repr(pool._kinds)
