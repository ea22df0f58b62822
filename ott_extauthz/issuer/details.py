"""Which ``authorization_details`` shall stand in a token (RFC 9396)?  Those kept, those asked for, and the ceiling's.

- Asked details are read by what the Check server reads them with, so nothing is signed that it would not enforce.
- Details of a subject token are kept whole.  All details of a token hold together: one more can only narrow it.
- What the ceiling restricts and no detail keeps within it is written into the token, at the ceiling.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.fault import ClaimsError
from ott_extauthz.authn.mandates import DETAILS, MANDATE, narrowing_from
from ott_extauthz.issuer.ceiling import Ceiling, exceeded, open_members
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode
from ott_extauthz.issuer.request import Form, value
from ott_extauthz.model.body import Body
from ott_extauthz.model.framing import framed
from ott_extauthz.model.json_body import json_body
from ott_extauthz.model.mandate import Constraints, Money, RateLimit, TimeOfDay
from ott_extauthz.model.reason import Reason

Detail = Mapping[str, Any]
COUNTING: Final = frozenset({"rate_limit", "budget"})
"""Members that count under the account of a token: its issuer, client and subject."""

_MILLISECONDS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The life of the token to be: budgets written at the ceiling last as long."""

    now_ms: int
    lifetime_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilinged:
    """A client's ceiling for an audience, and how what counts under it is named."""

    ceiling: Ceiling
    client_id: str
    audience: str
    new_identifier: Callable[[], str]


def asked_details(form: Form, now_ms: int) -> list[Detail] | OAuthError:
    """Return the details that a request asks for, readable for every Check server."""
    sent = value(form, DETAILS)
    if sent is None:
        return []
    details = json_body(Body(sent.encode("utf-8", "surrogatepass"), is_complete=True))
    if isinstance(details, Reason):
        return refused("not one JSON text that every parser reads alike")
    if readable(details, now_ms) is None:
        return refused("a list of 1 to 8 details of type mandate, with members that this version knows")
    return list(details)


def readable(details: object, now_ms: int) -> tuple[Constraints, ...] | None:
    """Return what the details mean, or None where a Check server would refuse them."""
    try:
        found = narrowing_from({DETAILS: details}, now_ms)
    except ClaimsError:
        return None
    return None if found.restrictions else found.mandates


def joined(
    kept: Sequence[Detail], asked: Sequence[Detail], within: Ceilinged, span: Span
) -> tuple[Detail, ...] | OAuthError:
    """Return all details of the token to be, or why it must not be."""
    new = [detail for detail in asked if detail not in kept]
    for mandate in (readable(new, span.now_ms) if new else ()) or ():
        wider = exceeded(mandate, within.ceiling)
        if wider is not None:
            return refused(f"{wider} is wider than this client has for the target")
    details = [*kept, *new]
    details += _at_the_ceiling(details, within, span)
    if details and readable(details, span.now_ms) is None:
        return refused("too many details, or two of them with one identifier")
    return tuple(details)


def counts(detail: Detail) -> bool:
    """Whether it counts under the token's account."""
    return not COUNTING.isdisjoint(detail)


def refused(description: str) -> OAuthError:
    """Return the refusal of details (RFC 9396 §5)."""
    return OAuthError(OAuthErrorCode.INVALID_AUTHORIZATION_DETAILS, f"authorization_details: {description}")


def _at_the_ceiling(details: Sequence[Detail], within: Ceilinged, span: Span) -> list[Detail]:
    mandates = (readable(list(details), span.now_ms) if details else ()) or ()
    missing = open_members(mandates, within.ceiling)
    written = {name: _WRITTEN[name](getattr(within.ceiling, name)) for name in missing if name in _WRITTEN}
    found: list[Detail] = []
    if "rate_limit" in written:
        # One name for ever: a new one for each token would be a new counter for each token.
        name = "grant-" + encoded(hashlib.sha256(framed(within.client_id, within.audience)).digest()[:16])
        rate = {"type": MANDATE, "identifier": name, "rate_limit": written.pop("rate_limit")}
        if rate not in details:
            found.append(rate)
    if "budget" in missing:
        found.append({"type": MANDATE, "identifier": within.new_identifier(), "budget": _budget(within.ceiling, span)})
    return [{"type": MANDATE, **written}, *found] if written else found


def _budget(ceiling: Ceiling, span: Span) -> dict[str, Any]:
    assert ceiling.budget is not None  # noqa: S101 - it was found missing
    parts: dict[str, Any] = {
        "since": span.now_ms // _MILLISECONDS,
        "until": -(-(span.now_ms + span.lifetime_ms) // _MILLISECONDS),
    }
    if ceiling.budget.amount is not None:
        parts["amount"] = _amount(ceiling.budget.amount)
    if ceiling.budget.count is not None:
        parts["count"] = ceiling.budget.count
    return parts


def _amount(money: Money) -> dict[str, str]:
    return {"value": f"{money.value:f}", "currency": money.currency}


def _rate(rate: RateLimit) -> dict[str, Any]:
    seconds, rest = divmod(rate.per_ms, _MILLISECONDS)
    return {"count": rate.count, "per": f"{rate.per_ms}ms" if rest else f"{seconds}s"}


def _windows(windows: Sequence[TimeOfDay]) -> list[dict[str, str]]:
    return [{"from": _clock(each.start), "to": _clock(each.end), "zone": each.zone.key} for each in windows]


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


_WRITTEN: Final[dict[str, Callable[[Any], Any]]] = {
    "brand": sorted,
    "region": sorted,
    "cidr": lambda networks: [str(network) for network in networks],
    "asn": sorted,
    "time_of_day": _windows,
    "max_amount": _amount,
    "rate_limit": _rate,
}
