"""What is wrong with a claim, is this a text, and is this a time?  Shared by the readers of claims."""

import math
import re
from collections.abc import Mapping
from typing import Any, Final

MAX_TEXT: Final = 512
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
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


def text_from(claims: Mapping[str, Any], name: str) -> str:
    """Return a text of 1 to MAX_TEXT characters, none of them a control.

    Raises:
        ClaimsError: it is none.
    """
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or _CONTROL.search(value):
        raise ClaimsError(name)
    return value
