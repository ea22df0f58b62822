from datetime import UTC, datetime, timedelta

import pytest

from ott_extauthz.policy.expressions.faults import ValueFault
from ott_extauthz.policy.expressions.local_time import read, zone_from


@pytest.mark.parametrize(
    ("instant", "zone", "expected"),
    [
        (datetime(2026, 7, 1, 22, 30, tzinfo=UTC), "Europe/Berlin", (4, 0, 30)),
        (datetime(2026, 7, 1, 22, 30, tzinfo=UTC), "UTC", (3, 22, 30)),
        (datetime(2026, 7, 1, 22, 30, tzinfo=UTC), "Asia/Kathmandu", (4, 4, 15)),
        (datetime(2026, 3, 29, 0, 59, tzinfo=UTC), "Europe/Berlin", (7, 1, 59)),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "Europe/Berlin", (7, 3, 0)),
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "Europe/Berlin", (7, 2, 30)),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "Europe/Berlin", (7, 2, 30)),
    ],
)
def test_the_wall_clock_over_midnight_and_the_change_of_summer_time(
    instant: datetime, zone: str, expected: tuple[int, int, int]
) -> None:
    found = zone_from(zone)
    assert tuple(read(field, found, instant) for field in ("weekday", "hour", "minute")) == expected


def test_the_week_begins_on_monday_with_one() -> None:
    monday = datetime(2026, 6, 29, tzinfo=UTC)
    days = [read("weekday", zone_from("UTC"), monday + timedelta(days=number)) for number in range(7)]
    assert days == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe", "\0", "a" * 5000])
def test_what_is_no_zone(name: str) -> None:
    with pytest.raises(ValueFault):
        zone_from(name)
