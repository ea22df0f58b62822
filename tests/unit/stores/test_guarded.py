"""The guard: fails fast and closed while a store is down, comes back by itself, and bounds what waits."""

import asyncio

import pytest

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import Spend, SpendOutcome, StoreHealth, Use, UsedListError, UsedListFault
from ott_extauthz.stores import guarded
from ott_extauthz.stores.guarded import FAULTS_IN_A_ROW, GuardedUsedList
from tests.used_lists import a_use

FIRST = Spend(SpendOutcome.FIRST_USE)


class Switchable:
    """A store that a test switches off and on, or lets hang."""

    def __init__(self) -> None:
        self.fault: UsedListFault | None = None
        self.hangs = False
        self.asked = self.looks = 0

    async def start(self) -> None:
        return

    async def mark_used(self, use: Use, *, timeout: float) -> Spend:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise UsedListError(self.fault, TokenState.UNKNOWN, "switched off")
        return FIRST

    async def health(self) -> StoreHealth:
        self.looks += 1
        if self.hangs:
            await asyncio.Event().wait()
        return StoreHealth(ready=self.fault is None, detail="off" if self.fault else "on")

    async def close(self) -> None:
        return


@pytest.fixture
def told() -> list[bool]:
    return []


@pytest.fixture
async def guard(told: list[bool]) -> "tuple[Switchable, GuardedUsedList]":
    inner = Switchable()
    outer = GuardedUsedList(inner, on_change=lambda health: told.append(health.ready))
    await outer.start()
    return inner, outer


async def fault_of(outer: GuardedUsedList) -> tuple[UsedListFault, TokenState]:
    with pytest.raises(UsedListError) as caught:
        await outer.mark_used(a_use(), timeout=1)
    return caught.value.fault, caught.value.token_state


async def test_it_opens_after_faults_in_a_row_and_then_asks_nothing(guard: tuple[Switchable, GuardedUsedList]) -> None:
    inner, outer = guard
    inner.fault = UsedListFault.CONNECT
    for _ in range(FAULTS_IN_A_ROW):
        assert (await fault_of(outer))[0] is UsedListFault.CONNECT
    asked = inner.asked
    for _ in range(50):
        assert await fault_of(outer) == (UsedListFault.CIRCUIT_OPEN, TokenState.UNSPENT)
    assert inner.asked == asked
    await outer.close()


async def test_it_closes_within_a_second_of_the_stores_return(
    guard: tuple[Switchable, GuardedUsedList], told: list[bool]
) -> None:
    inner, outer = guard
    inner.fault = UsedListFault.TIMEOUT
    for _ in range(FAULTS_IN_A_ROW):
        await fault_of(outer)
    await asyncio.sleep(0.05)
    inner.fault, looks = None, inner.looks
    await _until_it_answers(outer)
    # Counted in looks, for a busy machine may sleep longer than a second; five of them are one.
    assert inner.looks - looks <= 1 / guarded.PROBE_SECONDS
    assert told == [True, False, True]
    await outer.close()


async def test_a_store_that_hangs_does_not_stop_the_probe(guard: tuple[Switchable, GuardedUsedList]) -> None:
    inner, outer = guard
    inner.fault = UsedListFault.LOST
    for _ in range(FAULTS_IN_A_ROW):
        await fault_of(outer)
    inner.hangs, inner.fault = True, None
    looks = inner.looks
    async with asyncio.timeout(30):
        while inner.looks < looks + 2:  # noqa: ASYNC110 - the first has hung, and was given up
            await asyncio.sleep(0.01)
    inner.hangs = False
    await _until_it_answers(outer)
    await outer.close()


async def _until_it_answers(outer: GuardedUsedList) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                assert await outer.mark_used(a_use(), timeout=1) == FIRST
            except UsedListError:
                await asyncio.sleep(0.01)
            else:
                return


async def test_faults_apart_and_odd_replies_do_not_open_it(guard: tuple[Switchable, GuardedUsedList]) -> None:
    inner, outer = guard
    for _ in range(FAULTS_IN_A_ROW - 1):
        inner.fault = UsedListFault.TIMEOUT
        await fault_of(outer)
    inner.fault = None
    await outer.mark_used(a_use(), timeout=1)
    inner.fault = UsedListFault.REPLY
    for _ in range(FAULTS_IN_A_ROW * 2):
        assert (await fault_of(outer))[0] is UsedListFault.REPLY
    await outer.close()


async def test_only_so_many_wait(guard: tuple[Switchable, GuardedUsedList], monkeypatch: pytest.MonkeyPatch) -> None:
    inner, outer = guard
    monkeypatch.setattr(guarded, "MOST_WAITING", 3)
    inner.hangs = True
    waiting = [asyncio.create_task(outer.mark_used(a_use(), timeout=9)) for _ in range(3)]
    await asyncio.sleep(0)
    assert await fault_of(outer) == (UsedListFault.OVERLOADED, TokenState.UNSPENT)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    inner.hangs = False
    assert await outer.mark_used(a_use(), timeout=1) == FIRST, "whoever left made room"
    await outer.close()


async def test_a_store_that_hangs_at_the_first_look_does_not_keep_the_program_from_starting() -> None:
    inner = Switchable()
    inner.hangs = True
    outer = GuardedUsedList(inner, on_change=lambda _: None)
    async with asyncio.timeout(guarded.FIRST_LOOK_SECONDS + 30):
        await outer.start()
    await outer.close()


class Reporting(Switchable):
    """A store whose health a test writes."""

    def __init__(self, health: StoreHealth) -> None:
        super().__init__()
        self.says = health

    async def health(self) -> StoreHealth:
        return self.says


class Tardy(Switchable):
    """A store whose connection fails only when its time is up, as TLS to a plain port does."""

    async def health(self) -> StoreHealth:
        await asyncio.sleep(guarded.LOOK_SECONDS + 0.1)
        return StoreHealth(ready=False, detail="mend store.url")


async def test_a_store_that_is_slow_to_say_what_is_wrong_is_waited_for_at_the_start() -> None:
    told: list[StoreHealth] = []
    outer = GuardedUsedList(Tardy(), on_change=told.append)
    await outer.start()
    assert [health.detail for health in told] == ["mend store.url"]
    await outer.close()


async def test_a_store_that_is_down_from_the_start_is_told() -> None:
    told: list[StoreHealth] = []
    down = StoreHealth(ready=False, detail="refused")
    outer = GuardedUsedList(Reporting(down), on_change=told.append)
    await outer.start()
    assert told == [down]
    await outer.close()


async def test_a_change_is_told_once_and_numbers_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "TELL_AGAIN_SECONDS", 0.0)
    told: list[str] = []
    inner = Reporting(StoreHealth(ready=False, detail="its clock is 700 ms ahead"))
    outer = GuardedUsedList(inner, on_change=lambda health: told.append(health.detail))
    await outer.start()
    for health in (
        StoreHealth(ready=False, detail="its clock is 701 ms ahead"),
        StoreHealth(ready=False, detail="it is a replica"),
        StoreHealth(ready=True, detail="whole for 1 s", remarks=("persistence: none",)),
        StoreHealth(ready=True, detail="whole for 2 s", remarks=("persistence: none",)),
        StoreHealth(ready=True, detail="whole for 3 s", warnings=("persistence: the last snapshot failed",)),
    ):
        inner.says = health
        await outer.health()
    assert told == ["its clock is 700 ms ahead", "it is a replica", "whole for 1 s", "whole for 3 s"]
    await outer.close()


async def test_troubles_that_alternate_do_not_flood_the_log() -> None:
    told: list[str] = []
    inner = Reporting(StoreHealth(ready=False, detail="a"))
    outer = GuardedUsedList(inner, on_change=lambda health: told.append(health.detail))
    await outer.start()
    for detail in "bababa":
        inner.says = StoreHealth(ready=False, detail=detail)
        await outer.health()
    assert told == ["a"]
    await outer.close()


async def test_every_look_is_shown_also_one_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ott_extauthz.stores.guarded.FIRST_LOOK_SECONDS", 0.01)
    shown: list[bool] = []
    inner = Switchable()
    outer = GuardedUsedList(inner, on_change=lambda _: None, on_look=lambda health: shown.append(health.ready))
    await outer.start()
    assert shown == [True]
    await outer.close()
    inner.hangs = True
    await outer.start()
    assert shown == [True, False]
    await outer.close()
