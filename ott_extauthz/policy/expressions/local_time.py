"""What does the clock on the wall say there, at the request's instant?"""

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from ott_extauthz.model import daily_hours
from ott_extauthz.policy.expressions.faults import ValueFault

FIELDS: Final = {
    "hour": lambda local: local.hour,
    "minute": lambda local: local.minute,
    "weekday": lambda local: local.isoweekday(),
}
"""What ``local_time(zone)`` has: hour 0-23, minute 0-59, weekday 1 (Monday) to 7 (ISO 8601)."""


def zone_from(name: str) -> ZoneInfo:
    """Return a zone of the IANA database, read once, at load.

    Raises:
        ValueFault: no such zone.
    """
    try:
        return daily_hours.zone_from(name)
    except ValueError:
        raise ValueFault("no such time zone (IANA name, such as Europe/Berlin)") from None


def read(field: str, zone: ZoneInfo, instant: datetime) -> int:
    """Return one field of the local time."""
    value: int = FIELDS[field](instant.astimezone(zone))
    return value
