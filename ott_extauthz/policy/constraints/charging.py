"""What does the call take from which counter?  Rates and budgets become charges; the spend takes them, or refuses.

A counter belongs to an account (issuer, client, subject) and to a route or to a mandate's identifier, so that no two
of them ever share one.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

from ott_extauthz.model.framing import framed
from ott_extauthz.model.mandate import Budget, Constraints, Money
from ott_extauthz.model.money import units_of
from ott_extauthz.model.reason import Reason
from ott_extauthz.policy.constraints.amount import units_asked
from ott_extauthz.policy.constraints.request import Request
from ott_extauthz.ports import Charge, ChargeKind

BUDGET_MARGIN_MS: Final = 120_000
"""How long a counter outlives its budget: another server's clock, and the store's, may lag by a minute each."""


def charges_of(constraints: Constraints, request: Request, route: str) -> tuple[Charge, ...] | Reason:
    """Return what one source of constraints charges, or why it cannot be charged."""
    charges = [] if constraints.rate_limit is None else [_rate(constraints, request, route)]
    budget = constraints.budget
    if budget is None:
        return tuple(charges)
    if request.asked.now_ms >= budget.until_ms:
        return Reason.BUDGET_EXHAUSTED
    units = None if budget.amount is None else units_asked(request, budget.amount)
    if isinstance(units, Reason):
        return units
    for purpose, limit, cost in _costs(budget, units):
        if cost > limit:
            return Reason.BUDGET_EXHAUSTED
        charges.append(_budget(budget, _key(request, purpose, budget.identifier), limit, cost))
    return tuple(charges)


def _costs(budget: Budget, units: int | None) -> Iterator[tuple[str, int, int]]:
    if budget.amount is not None and units is not None:
        yield _amount_purpose(budget.amount), units_of(budget.amount), units
    if budget.count is not None:
        yield "budget count", budget.count, 1


def _amount_purpose(amount: Money) -> str:
    return f"budget amount {amount.currency}"


def _budget(budget: Budget, key: bytes, limit: int, cost: int) -> Charge:
    return Charge(
        kind=ChargeKind.BUDGET,
        key=key,
        limit=limit,
        cost=cost,
        since_ms=budget.since_ms,
        keep_until_ms=budget.until_ms + BUDGET_MARGIN_MS,
    )


def _rate(constraints: Constraints, request: Request, route: str) -> Charge:
    assert constraints.rate_limit is not None  # noqa: S101 - asked by the caller
    purpose, name = ("rate route", route) if constraints.identifier is None else ("rate", constraints.identifier)
    return Charge(
        kind=ChargeKind.RATE,
        key=_key(request, purpose, name),
        limit=constraints.rate_limit.count,
        period_ms=constraints.rate_limit.per_ms,
    )


def _key(request: Request, purpose: str, name: str) -> bytes:
    return hashlib.sha256(framed(purpose, name, request.asked.token.account.hex())).digest()
