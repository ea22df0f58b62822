"""A line that nobody reads is counted by the event loop: where it was lost, the counter's own lock may be held."""

import asyncio
from types import SimpleNamespace
from typing import cast

from ott_extauthz.bootstrap.lost_lines import count_lost
from ott_extauthz.observe.standard_error import StandardError


def a_log(lost: int = 0) -> StandardError:
    return cast("StandardError", SimpleNamespace(lost=lost))


async def test_a_lost_line_is_counted_by_the_event_loop_and_not_where_it_was_lost() -> None:
    log, counted = a_log(), list[int]()
    count_lost(log, lambda: counted.append(1))
    log.on_lost()
    assert not counted, "a finalizer that warns while the counter's lock is held would wait for that lock for ever"
    await asyncio.sleep(0)
    assert counted == [1]


async def test_what_was_lost_before_anybody_counted_is_counted_too() -> None:
    counted: list[int] = []
    count_lost(a_log(lost=2), lambda: counted.append(1))
    assert counted == [1, 1]


async def test_without_a_log_of_ours_nothing_is_counted() -> None:
    count_lost(None, lambda: None)


def test_a_line_that_is_lost_after_the_loop_has_ended_breaks_nothing() -> None:
    log = a_log()

    async def begin() -> None:
        count_lost(log, lambda: None)

    asyncio.run(begin())
    log.on_lost()
