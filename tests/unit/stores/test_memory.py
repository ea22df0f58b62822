"""The memory used-list: its fence, and that neither clocks nor its own sweep make it forget too early."""

import secrets

from ott_extauthz.ports import Use
from ott_extauthz.stores.memory import SWEEP_PER_USE, MemoryUsedList
from tests.fakes.clock import FakeClock
from tests.used_lists import EXPIRED, FENCED, FIRST, USED

LEAD_MS = 500


def _use(clock: FakeClock, *, key: bytes | None = None, keep_ms: int = 1000, iat_ms: int | None = None) -> Use:
    return Use(
        key=key or secrets.token_bytes(32),
        nonce=secrets.token_bytes(16),
        issued_at_ms=clock.now_ms() if iat_ms is None else iat_ms,
        keep_until_ms=clock.now_ms() + keep_ms,
        now_ms=clock.now_ms(),
    )


def _list(clock: FakeClock) -> MemoryUsedList:
    """Make a list, and let its fence pass."""
    used_list = MemoryUsedList(clock=clock, iat_lead_ms=LEAD_MS)
    clock.advance(LEAD_MS + 1)
    return used_list


async def test_the_margin_is_the_lead_alone_for_it_shares_the_callers_clock() -> None:
    clock = FakeClock()
    used_list = MemoryUsedList(clock=clock, iat_lead_ms=LEAD_MS)
    since = clock.now_ms()
    assert (await used_list.mark_used(_use(clock, iat_ms=since + LEAD_MS), timeout=1)).outcome is FENCED
    assert (await used_list.mark_used(_use(clock, iat_ms=since + LEAD_MS + 1), timeout=1)).outcome is FIRST


async def test_a_restart_vouches_for_nothing_issued_before_it() -> None:
    """The token was used a moment ago by a process that has died since, and was issued as far ahead as is accepted."""
    clock = FakeClock()
    before = _list(clock)
    use = _use(clock, iat_ms=clock.now_ms() + LEAD_MS)
    assert (await before.mark_used(use, timeout=1)).outcome is FIRST
    after = MemoryUsedList(clock=clock, iat_lead_ms=LEAD_MS)
    assert (await after.mark_used(use, timeout=1)).outcome is FENCED


async def test_a_clock_that_jumps_forward_and_back_makes_it_forget_nothing() -> None:
    clock = FakeClock()
    used_list = _list(clock)
    use = _use(clock, keep_ms=1000)
    assert (await used_list.mark_used(use, timeout=1)).outcome is FIRST
    clock.step(3_600_000)
    assert (await used_list.mark_used(_use(clock), timeout=1)).outcome is FIRST  # sweeps the first one away
    clock.step(-3_600_000)
    replay = Use(
        key=use.key,
        nonce=b"n" * 16,
        issued_at_ms=use.issued_at_ms,
        keep_until_ms=use.keep_until_ms,
        now_ms=clock.now_ms(),
    )
    assert (await used_list.mark_used(replay, timeout=1)).outcome is EXPIRED


async def test_a_clock_that_goes_back_lets_no_used_token_through() -> None:
    clock = FakeClock()
    used_list = _list(clock)
    use = _use(clock)
    assert (await used_list.mark_used(use, timeout=1)).outcome is FIRST
    clock.step(-200)
    assert (await used_list.mark_used(_use(clock, key=use.key, iat_ms=use.issued_at_ms), timeout=1)).outcome is USED


async def test_what_has_expired_is_dropped_a_little_with_every_use() -> None:
    clock = FakeClock()
    used_list = _list(clock)
    for _ in range(100):
        await used_list.mark_used(_use(clock, keep_ms=1000), timeout=1)
    clock.advance(1000)
    for _ in range(100 // SWEEP_PER_USE):
        await used_list.mark_used(_use(clock, keep_ms=60_000), timeout=1)
    assert len(used_list._uses) == len(used_list._expiries) == 100 // SWEEP_PER_USE


async def test_it_does_not_grow_under_a_steady_load() -> None:
    clock = FakeClock()
    used_list = _list(clock)
    most = 0
    for _ in range(5000):
        use = _use(clock, keep_ms=100)
        assert (await used_list.mark_used(use, timeout=1)).outcome is FIRST
        assert (await used_list.mark_used(use, timeout=1)).outcome is FIRST  # a retry is not a second entry
        clock.advance(1)
        most = max(most, len(used_list._expiries))
    assert most <= 101


async def test_a_refused_use_is_not_remembered() -> None:
    clock = FakeClock()
    used_list = _list(clock)
    await used_list.mark_used(_use(clock, keep_ms=0), timeout=1)
    await used_list.mark_used(_use(clock, iat_ms=0), timeout=1)
    assert not used_list._uses
    assert not used_list._expiries
