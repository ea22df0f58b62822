"""What is wrong with a claim, and is this a time?  Shared by the readers of claims."""

import math
from collections.abc import Mapping
from typing import Any, Final

_LAST_INSTANT: Final = 253_402_300_800  # the end of year 9999


class ClaimsError(ValueError):
    """A claim is missing, of the wrong type or outside its grammar; the message names the claim, never its value."""


def instant_ms(claims: Mapping[str, Any], name: str) -> int:
    """Return a NumericDate in milliseconds, rounded down: an older ``iat`` is the safe side at the fence.

    Raises:
        ClaimsError: it is none.
    """
    value: Any = claims.get(name)
    if type(value) not in (int, float) or not 0 < value < _LAST_INSTANT:  # bool and NaN fail here too
        raise ClaimsError(name)
    return math.floor(float(value) * 1000)
