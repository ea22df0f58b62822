"""Which hours of the day are meant?  ``{from: "22:00", to: "06:00", zone: Europe/Malta}`` read, and asked about.

A window is what a clock on the wall of that zone shows.  Where clocks go forward, the hours left out never come; where
they go back, the hours that come twice are inside both times.
"""

import re
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ott_extauthz.model.mandate import TimeOfDay

_FORM: Final = 'a window is written {from: "22:00", to: "06:00", zone: Europe/Malta}'
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_WITH_SECONDS: Final = re.compile(r"[0-9]{1,2}:[0-9]{2}:[0-9]{2}.*", re.ASCII | re.DOTALL)
# `right/…` counts leap seconds, `posix/…` is a second spelling, `localtime` means another zone on every machine.
_ZONE: Final = re.compile(r"UTC|(?!right/|posix/)[A-Za-z]+(?:/[A-Za-z0-9_+-]{1,32}){1,2}", re.ASCII)
_DAY: Final = 24 * 60


def window_from(value: object) -> TimeOfDay:
    """Read one window.

    Raises:
        ValueError: what is wrong with it, in one line.
    """
    if not isinstance(value, dict) or value.keys() != {"from", "to", "zone"}:
        raise ValueError(_FORM)
    end = value["to"]
    start, end = _minutes("from", value["from"]), _DAY if end == "24:00" else _minutes("to", end)
    if start == end:
        raise ValueError('from and to are the same; a whole day is from: "00:00", to: "24:00"')
    return TimeOfDay(start, end, zone_from(value["zone"]))


def is_within(window: TimeOfDay, now_ms: int) -> bool:
    """Whether the zone's clocks show a time of the window; the start belongs to it, the end does not."""
    local = datetime.fromtimestamp(now_ms // 1000, window.zone)
    minute = local.hour * 60 + local.minute
    if window.start < window.end:
        return window.start <= minute < window.end
    return minute >= window.start or minute < window.end


def _minutes(name: str, text: object) -> int:
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    if found is not None:
        return int(found[1]) * 60 + int(found[2])
    if isinstance(text, str) and _WITH_SECONDS.fullmatch(text):
        raise ValueError(f"{name}: hours and minutes only; no seconds, and no leap second (23:59:60)")
    raise ValueError(f'{name}: a time is written "22:00"' + (', or "24:00" for the end of the day' * (name == "to")))


def zone_from(name: object) -> ZoneInfo:
    """Read a zone's name.

    Raises:
        ValueError: what is wrong with it, in one line.
    """
    if not isinstance(name, str) or not _ZONE.fullmatch(name):
        raise ValueError("zone: a name of the IANA time zone database, like Europe/Malta, or UTC")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        raise ValueError("zone: the time zone database has no such zone") from None
