"""Is this mandate within what a client may have?  A ceiling, compared member by member.

Only what both name is compared here; what the ceiling restricts and a mandate leaves open is :mod:`details`' to write.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Any, Final

from ott_extauthz.model.addresses import Network
from ott_extauthz.model.mandate import Budget, Constraints, Money, RateLimit, TimeOfDay

_DAY: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class BudgetCeiling:
    """The largest budget that a mandate may have: a total, a number of calls, or both."""

    amount: Money | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """What a client's mandates stay within; None restricts nothing.  Its members are named as those of a mandate."""

    brand: frozenset[str] | None = None
    region: frozenset[str] | None = None
    cidr: tuple[Network, ...] | None = None
    asn: frozenset[int] | None = None
    time_of_day: tuple[TimeOfDay, ...] | None = None
    max_amount: Money | None = None
    rate_limit: RateLimit | None = None
    budget: BudgetCeiling | None = None


def exceeded(asked: Constraints, ceiling: Ceiling) -> str | None:
    """Return the first member that is wider than the ceiling; amounts in two currencies never compare."""
    for name, is_within in _WITHIN.items():
        value, limit = getattr(asked, name), getattr(ceiling, name)
        if value is not None and limit is not None and not is_within(value, limit):
            return name
    return None


def open_members(mandates: Iterable[Constraints], ceiling: Ceiling) -> list[str]:
    """Return what the ceiling restricts and no mandate keeps within it.

    A rate is always open: one that counts under a name of the client's choosing would begin anew with every name.
    """
    found = list(mandates)
    return [
        name
        for name in _WITHIN
        if getattr(ceiling, name) is not None
        and (name == "rate_limit" or not any(_holds(mandate, ceiling, name) for mandate in found))
    ]


def _holds(mandate: Constraints, ceiling: Ceiling, name: str) -> bool:
    value, limit = getattr(mandate, name), getattr(ceiling, name)
    if value is None or not _WITHIN[name](value, limit):
        return False
    return name != "budget" or _names_all(value, limit)


def _names_all(budget: Budget, limit: BudgetCeiling) -> bool:
    has_amount = limit.amount is None or budget.amount is not None
    return has_amount and (limit.count is None or budget.count is not None)


def _networks_within(asked: tuple[Network, ...], limit: tuple[Network, ...]) -> bool:
    fours = list(collapse_addresses(network for network in limit if isinstance(network, IPv4Network)))
    sixes = list(collapse_addresses(network for network in limit if isinstance(network, IPv6Network)))
    return all(
        any(map(network.subnet_of, fours)) if isinstance(network, IPv4Network) else any(map(network.subnet_of, sixes))
        for network in asked
    )


def _hours_within(asked: tuple[TimeOfDay, ...], limit: tuple[TimeOfDay, ...]) -> bool:
    """Minute by minute; two zones never compare, for their distance changes with the seasons."""
    return _minutes(asked) <= _minutes(limit)


def _minutes(windows: tuple[TimeOfDay, ...]) -> set[tuple[str, int]]:
    return {
        (window.zone.key, minute % _DAY)
        for window in windows
        for minute in range(window.start, window.end if window.start < window.end else window.end + _DAY)
    }


def _amount_within(asked: Money, limit: Money) -> bool:
    return asked.currency == limit.currency and asked.value <= limit.value


def _rate_within(asked: RateLimit, limit: RateLimit) -> bool:
    """Neither the burst nor the average may be higher."""
    return asked.count <= limit.count and asked.count * limit.per_ms <= limit.count * asked.per_ms


def _budget_within(asked: Budget, limit: BudgetCeiling) -> bool:
    if asked.amount is not None and limit.amount is not None and not _amount_within(asked.amount, limit.amount):
        return False
    return asked.count is None or limit.count is None or asked.count <= limit.count


_WITHIN: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "brand": frozenset.issubset,
    "region": frozenset.issubset,
    "cidr": _networks_within,
    "asn": frozenset.issubset,
    "time_of_day": _hours_within,
    "max_amount": _amount_within,
    "rate_limit": _rate_within,
    "budget": _budget_within,
}
