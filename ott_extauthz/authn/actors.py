"""Who acts for the subject (RFC 8693 §4.1)?  The outermost actor alone counts; those below it are history.

The chain is held to its form to the last link, and is bounded: nobody reads what a hundred services passed on.
"""

from collections.abc import Mapping
from typing import Any, Final

from ott_extauthz.authn.fault import ClaimsError, text_from

MOST_ACTORS: Final = 8


def actor_from(claims: Mapping[str, Any]) -> str | None:
    """Return the ``sub`` of whoever acts now; None where nobody acts for another.

    Raises:
        ClaimsError: ``act`` is malformed, or more than MOST_ACTORS deep.
    """
    return _subject(claims["act"], MOST_ACTORS) if "act" in claims else None


def _subject(actor: Any, room: int) -> str:  # noqa: ANN401 - JSON
    if not isinstance(actor, dict) or not room:
        raise ClaimsError("act")
    try:
        subject = text_from(actor, "sub")
    except ClaimsError:
        raise ClaimsError("act") from None
    if "act" in actor:
        _subject(actor["act"], room - 1)
    return subject
