"""When a key set is fetched: not too often whoever asks, not too seldom, and not believed for ever."""

from itertools import cycle, pairwise

import pytest

from ott_extauthz.authn.key_set_schedule import (
    FLOOR_SECONDS,
    KEPT_SECONDS,
    LEAST_FRESH_SECONDS,
    LONGEST_PAUSE_SECONDS,
    MOST_FRESH_SECONDS,
    USUALLY_FRESH_SECONDS,
    KeySetSchedule,
    freshness,
)


@pytest.mark.parametrize(
    ("cache_control", "age", "expected"),
    [
        ("", "", USUALLY_FRESH_SECONDS),
        ("public, max-age=300", "", 300),
        ("MAX-AGE=600", "", 600),
        ('max-age="60"', "", 60),
        ("max-age=300", "100", 200),
        ("max-age=300", "-100", 300),
        ("max-age=300", "x", 300),
        ("max-age=0", "", LEAST_FRESH_SECONDS),
        ("max-age=10", "999999", LEAST_FRESH_SECONDS),
        ("max-age=31536000, immutable", "", MOST_FRESH_SECONDS),
        ("max-age=99999999999999999999", "", USUALLY_FRESH_SECONDS),
        ("max-age=-1", "", USUALLY_FRESH_SECONDS),
        ("max-age=1e9", "", USUALLY_FRESH_SECONDS),
        ("max-age=²", "", USUALLY_FRESH_SECONDS),
        ("no-store", "", LEAST_FRESH_SECONDS),
        ("no-cache, max-age=31536000", "", LEAST_FRESH_SECONDS),
        ("max-age=31536000; no-cache", "", USUALLY_FRESH_SECONDS),
        (",,,=,", "", USUALLY_FRESH_SECONDS),
    ],
)
def test_an_answer_is_fresh_within_bounds(cache_control: str, age: str, expected: float) -> None:
    assert freshness(cache_control, age) == expected


def test_bogus_kids_ask_at_most_every_five_seconds() -> None:
    schedule, now, begun = KeySetSchedule(due_at=0.0), 0.0, []
    answers = cycle([None, LEAST_FRESH_SECONDS, None, None, MOST_FRESH_SECONDS])
    while now < 600:
        schedule.want(now)
        if schedule.due_at <= now:
            begun.append(now)
            schedule.asked(now)
            fresh = next(answers)
            if fresh is not None:
                schedule.confirmed(now, fresh)
        now += 0.01
    assert 100 < len(begun) <= 600 / FLOOR_SECONDS + 1
    assert all(later - one >= FLOOR_SECONDS for one, later in pairwise(begun))


def test_a_flood_puts_off_no_fetch_that_is_due() -> None:
    schedule = KeySetSchedule(due_at=0.0)
    schedule.asked(0)
    schedule.confirmed(0, 300)
    schedule.due_at = 1.0
    schedule.want(0.5)
    assert schedule.due_at == 1.0


def test_after_faults_it_asks_less_and_less_often_and_never_stops() -> None:
    schedule, now, pauses = KeySetSchedule(due_at=0.0), 0.0, []
    for _ in range(2000):
        schedule.asked(now)
        pauses.append(schedule.due_at - now)
        now = schedule.due_at
    assert pauses[:5] == [5, 10, 20, 40, LONGEST_PAUSE_SECONDS]
    assert set(pauses[4:]) == {LONGEST_PAUSE_SECONDS}
    schedule.confirmed(now, 300)
    schedule.asked(schedule.due_at)
    assert schedule.due_at == now + 300 + FLOOR_SECONDS


def test_what_was_confirmed_is_believed_for_a_day_and_no_longer() -> None:
    schedule = KeySetSchedule(due_at=0.0)
    assert not schedule.is_believed(0)
    schedule.asked(0)
    assert not schedule.is_believed(0)
    schedule.confirmed(0, 300)
    assert schedule.is_believed(KEPT_SECONDS - 0.001)
    assert not schedule.is_believed(KEPT_SECONDS)
    schedule.confirmed(KEPT_SECONDS + 5, 300)
    assert schedule.is_believed(KEPT_SECONDS + 6)
