"""What does a constraint's text mean?  One grammar for mandates in tokens and for ``constraints:`` in a policy.

Every reader returns the value, or raises ValueError with what is wrong in one line that quotes nothing.  What cannot be
read is never left out: a mandate would come out wider than it was written.
"""

import re
from typing import Final

from ott_extauthz.model.addresses import Network, network_from
from ott_extauthz.model.daily_hours import window_from
from ott_extauthz.model.mandate import RateLimit, TimeOfDay

MOST_VALUES: Final = 64
MOST_WINDOWS: Final = 16
MAX_COUNT: Final = 10**9
_NAME: Final = re.compile(r"[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e]{1,64}", re.ASCII)
_PERIOD: Final = re.compile(r"([1-9][0-9]{0,8})(ms|s|m|h|d)", re.ASCII)
_UNITS_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST_MS: Final = 31 * _UNITS_MS["d"]
_MAX_ASN: Final = 2**32 - 1


def names_from(value: object) -> frozenset[str]:
    """Read one name or several: brands, regions."""
    names = _one_or_many(value)
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
        raise ValueError("a name is 1 to 64 visible ASCII characters without quotes, commas and backslashes")
    return frozenset(str(name) for name in names)


def networks_from(value: object) -> tuple[Network, ...]:
    """Read one network or several."""
    return tuple(map(network_from, _one_or_many(value)))


def numbers_from(value: object) -> frozenset[int]:
    """Read one autonomous system number or several."""
    numbers = _one_or_many(value)
    if not all(type(number) is int and 0 < number <= _MAX_ASN for number in numbers):
        raise ValueError(f"an autonomous system number is an integer from 1 to {_MAX_ASN}")
    return frozenset(number for number in numbers if isinstance(number, int))


def windows_from(value: object) -> tuple[TimeOfDay, ...]:
    """Read one daily window or several."""
    return tuple(map(window_from, _one_or_many(value, MOST_WINDOWS)))


def rate_from(value: object) -> RateLimit:
    """Read ``{count: 10, per: 1m}``."""
    if not isinstance(value, dict) or value.keys() != {"count", "per"}:
        raise ValueError("a rate is written {count: 10, per: 1m}")
    per = value["per"]
    found = _PERIOD.fullmatch(per) if isinstance(per, str) else None
    period = int(found[1]) * _UNITS_MS[found[2]] if found else 0
    if not 0 < period <= _LONGEST_MS:
        raise ValueError("per: a whole number with a unit, at most 31d: 500ms, 10s, 1m, 1h")
    return RateLimit(count_from(value["count"]), period)


def count_from(value: object) -> int:
    """Read a number of calls."""
    if type(value) is not int or not 1 <= value <= MAX_COUNT:
        raise ValueError(f"count: an integer from 1 to {MAX_COUNT}")
    return value


def _one_or_many(value: object, most: int = MOST_VALUES) -> list[object]:
    values = value if isinstance(value, list) else [value]
    if not 1 <= len(values) <= most:
        raise ValueError(f"one value, or a list of 1 to {most}")
    return values
