"""One seam for time: whoever wants to know hears of every answered Check, and nobody's fault is another's."""

import asyncio

from ott_extauthz.observe.timing import CheckTimes, Timed
from tests.fakes.clock import FakeClock
from tests.fakes.desk import Desk


async def test_a_teller_that_breaks_is_counted_and_the_others_hear_all_the_same() -> None:
    desk, told, faults = Desk(), list[Timed](), list[str]()

    def broken(_: Timed) -> None:
        raise RuntimeError

    times = CheckTimes(monotonic=desk.clock.monotonic, tell=[broken, told.append], on_fault=faults.append)

    async def answered() -> None:
        times.arrived()
        await desk.ask(desk.facts())
        times.decided(desk.observer.records[0])
        desk.clock.advance(3)
        times.answered()

    await asyncio.create_task(answered())
    assert faults == ["RuntimeError"]
    [timed] = told
    assert round((timed.answered - timed.told) * 1000) == 3


async def test_what_nobody_decided_is_not_told() -> None:
    told: list[Timed] = []
    times = CheckTimes(monotonic=FakeClock().monotonic, tell=[told.append], on_fault=lambda _: None)

    async def given_up() -> None:
        times.answered()
        times.arrived()
        times.answered()

    await asyncio.create_task(given_up())
    assert told == []
