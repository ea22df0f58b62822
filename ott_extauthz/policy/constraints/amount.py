"""How much does the request move, and is that too much?

Read from the JSON body at the places that the route names, in minor units of the limit's currency; whatever is not
surely such an amount is a refusal: missing, another currency, negative, a fraction of a minor unit, text that is not
plain decimal, a number with an exponent.
"""

from decimal import Decimal
from typing import Any

from ott_extauthz.model.mandate import Constraints, Money
from ott_extauthz.model.money import MINOR_DIGITS, decimal_from, minor_units, units_of
from ott_extauthz.model.reason import Reason
from ott_extauthz.policy.constraints.request import Request
from ott_extauthz.policy.limits import AmountSource


def amount_fault(constraints: Constraints, request: Request) -> Reason | None:
    """Return why the request's amount is not within ``max_amount``."""
    limit = constraints.max_amount
    if limit is None:
        return None
    units = units_asked(request, limit)
    if isinstance(units, Reason):
        return units
    return None if units <= units_of(limit) else Reason.AMOUNT_EXCEEDED


def units_asked(request: Request, limit: Money) -> int | Reason:
    """Return the request's amount in minor units of the limit's currency, or why that is not known."""
    source = request.limits.amount
    if source is None:
        return Reason.AMOUNT_UNREADABLE
    document = request.json
    if isinstance(document, Reason):
        return document
    if _currency(source, document) != limit.currency:
        return Reason.AMOUNT_UNREADABLE
    value = _decimal(source.value.found_in(document))
    digits = 0 if source.is_minor else MINOR_DIGITS[limit.currency]
    units = None if value is None else minor_units(value, digits)
    return Reason.AMOUNT_UNREADABLE if units is None else units


def _currency(source: AmountSource, document: Any) -> object:  # noqa: ANN401 - JSON
    return source.currency_is if source.currency is None else source.currency.found_in(document)


def _decimal(value: object) -> Decimal | None:
    if type(value) is int or isinstance(value, Decimal):  # true is an int to Python
        return Decimal(value)
    return decimal_from(value) if isinstance(value, str) else None
