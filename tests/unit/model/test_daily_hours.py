"""Hours are what a clock on the wall shows: at their edges, over midnight, and where clocks are put forward or back."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from ott_extauthz.model.daily_hours import is_within, window_from


def at(text: str, zone: str = "Europe/Malta", fold: int = 0) -> int:
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(local.timestamp() * 1000)


def within(start: str, end: str, now_ms: int, zone: str = "Europe/Malta") -> bool:
    return is_within(window_from({"from": start, "to": end, "zone": zone}), now_ms)


@pytest.mark.parametrize(
    ("start", "end", "now", "expected"),
    [
        ("09:00", "17:00", "2026-11-21T08:59:59.999", False),
        ("09:00", "17:00", "2026-11-21T09:00:00", True),
        ("09:00", "17:00", "2026-11-21T16:59:59.999", True),
        ("09:00", "17:00", "2026-11-21T17:00:00", False),
        ("22:00", "06:00", "2026-11-21T21:59:59.999", False),
        ("22:00", "06:00", "2026-11-21T22:00:00", True),
        ("22:00", "06:00", "2026-11-21T23:59:59.999", True),
        ("22:00", "06:00", "2026-11-22T00:00:00", True),
        ("22:00", "06:00", "2026-11-22T05:59:59.999", True),
        ("22:00", "06:00", "2026-11-22T06:00:00", False),
        ("22:00", "24:00", "2026-11-21T23:59:59.999", True),
        ("22:00", "24:00", "2026-11-22T00:00:00", False),
        ("22:00", "00:00", "2026-11-21T23:59:59.999", True),
        ("22:00", "00:00", "2026-11-22T00:00:00", False),
        ("00:00", "24:00", "2026-11-22T00:00:00", True),
        ("00:00", "24:00", "2026-11-22T23:59:59.999", True),
        ("00:00", "00:01", "2026-11-22T00:00:59.999", True),
        ("00:00", "00:01", "2026-11-22T00:01:00", False),
    ],
)
def test_the_start_belongs_to_a_window_and_the_end_does_not(start: str, end: str, now: str, expected: bool) -> None:  # noqa: FBT001
    assert within(start, end, at(now)) is expected


def test_the_zones_clock_counts_and_not_utc() -> None:
    noon_utc = at("2026-11-21T12:00:00", "UTC")
    assert within("13:00", "13:01", noon_utc)
    assert not within("12:00", "12:01", noon_utc)
    assert within("12:00", "12:01", noon_utc, "UTC")


def test_hours_that_are_skipped_never_come() -> None:
    """In Malta clocks go from 02:00 to 03:00 on 2026-03-29."""
    before = at("2026-03-29T01:59:59")
    assert not any(within("02:15", "02:45", before + minute * 60_000) for minute in range(-30, 90))
    assert within("01:30", "03:30", before)
    assert within("01:30", "03:30", before + 1000)  # 03:00:00
    assert within("03:00", "04:00", before + 1000)


def test_hours_that_come_twice_are_inside_twice() -> None:
    """In Malta clocks go from 03:00 back to 02:00 on 2026-10-25."""
    first, second = at("2026-10-25T02:30:00"), at("2026-10-25T02:30:00", fold=1)
    assert second - first == 3_600_000
    assert within("02:15", "02:45", first)
    assert within("02:15", "02:45", second)
    assert not within("02:15", "02:45", at("2026-10-25T02:45:00"))
    assert not within("02:15", "02:45", at("2026-10-25T02:45:00", fold=1))


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("23:59:60", "06:00", "leap second"),
        ("22:00", "23:59:60", "leap second"),
        ("22:00:00", "06:00", "no seconds"),
        ("24:00", "06:00", "from: a time is written"),
        ("22:00", "24:01", "to: a time is written"),
        ("9:00", "17:00", "from"),
        ("09:60", "17:00", "from"),
        ("09:00", "25:00", "to"),
        ("09:00\n", "17:00", "from"),
        ("\u0660\u0669:00", "17:00", "from"),
        (900, "17:00", "from"),
        ("09:00", None, "to"),
        ("09:00", "09:00", "whole day"),
        ("00:00", "00:00", "whole day"),
    ],
)
def test_a_time_that_is_none_is_told(start: object, end: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        window_from({"from": start, "to": end, "zone": "UTC"})


@pytest.mark.parametrize(
    "zone",
    ["", "Europe", "Europe/Atlantis", "../../etc/passwd", "/etc/localtime", "Europe/../../etc/passwd", "localtime",
     "right/UTC", "right/Europe/Malta", "posix/Europe/Malta", "posixrules", "utc", "CET+1", "Europe/Malta\x00",
     "A" * 5000 + "/B", "Europe/" + "B" * 5000, None, 1, ["UTC"]],
)  # fmt: skip
def test_a_zone_that_is_none_or_no_zone_of_the_database_is_told(zone: object) -> None:
    with pytest.raises(ValueError, match="zone"):
        window_from({"from": "09:00", "to": "17:00", "zone": zone})


@pytest.mark.parametrize(
    "form",
    [
        None,
        "22:00-06:00",
        {"from": "09:00", "to": "17:00"},
        {"from": "09:00", "to": "17:00", "zone": "UTC", "days": []},
    ],
)
def test_a_window_has_three_members(form: object) -> None:
    with pytest.raises(ValueError, match="window"):
        window_from(form)
