"""When does a PASETO begin and end?  Its registered claims are RFC 3339 texts; inside, all tokens count alike.

``iat``, ``exp`` and ``nbf`` are texts and never numbers: one claim has one form.  ``auth_time`` is none of PASETO's
claims, and is a number of seconds as OpenID Connect has it.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from ott_extauthz.authn.fault import ClaimsError

TIMES: Final = ("iat", "exp", "nbf")
_RFC_3339: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def with_numeric_times(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims with their times in seconds since 1970, to the millisecond, as a JWS has them.

    Raises:
        ClaimsError: one of the times is none.
    """
    times = {name: _milliseconds(claims[name], name) / 1000 for name in TIMES if name in claims}
    return {**claims, **times}


def rfc3339(milliseconds: int) -> str:
    """Return an instant as PASETO writes it."""
    seconds, rest = divmod(milliseconds, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000).isoformat(timespec="milliseconds")


def _milliseconds(value: Any, name: str) -> int:  # noqa: ANN401 - JSON
    found = _RFC_3339.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ClaimsError(name)
    second, fraction, zone = found.groups(default="")
    try:
        instant = datetime.fromisoformat(second + ("+00:00" if zone == "Z" else zone))
        seconds = int(instant.timestamp())
    except (ValueError, OverflowError):
        raise ClaimsError(name) from None
    # Rounded down, as for a JWS: an older `iat` is the safe side at the fence.
    return seconds * 1000 + int(fraction.ljust(3, "0")[:3])
