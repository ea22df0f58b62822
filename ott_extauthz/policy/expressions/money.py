"""How much is it, exactly?  Amounts of money (ISO 4217) as decimals with their currency, never as binary fractions.

- Plain decimal digits; no sign, no exponent, no more minor digits than the currency has.  An amount below zero passes
  every upper bound, so there is none.
- Amounts of two currencies have no order and are not unequal either: comparing them is an error.
- A bare number or text beside an amount is read in that amount's currency.
"""

from collections.abc import Callable
from decimal import Decimal

from ott_extauthz.model.mandate import Money
from ott_extauthz.model.money import MINOR_DIGITS, decimal_from, minor_units
from ott_extauthz.policy.expressions.faults import ValueFault

Bare = str | int | float


def money_from(value: Bare, currency: str) -> Money:
    """Return ``value`` in ``currency``.

    Raises:
        ValueFault: no such currency, not a plain amount, or more minor digits than the currency has.
    """
    digits = MINOR_DIGITS.get(currency)
    if digits is None:
        raise ValueFault("no such currency (ISO 4217)")
    found = decimal_from(_written(value))
    if found is None:
        raise ValueFault("not an amount: digits, at most 18 before the point, no sign, no exponent")
    if minor_units(found, digits) is None:
        raise ValueFault(f"an amount of {currency} has at most {digits} minor digits")
    return Money(found, currency)


def _written(value: Bare) -> str:
    if isinstance(value, float):
        # repr gives the digits back that stood in the JSON text; 100.0 is the number 100.
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    return str(value)


def encoded(money: Money) -> bytearray:
    """Return the amount as the engine carries it: bytes, which no JSON value can be taken for."""
    return bytearray(f"{money.currency} {money.value}".encode())


def amount(value: Bare, currency: str) -> bytearray:
    """CEL ``money(value, currency)``."""
    return encoded(money_from(value, currency))


def comparison(operation: Callable[[Decimal, Decimal], bool]) -> Callable[[Bare | bytearray, Bare | bytearray], bool]:
    """Return ``operation`` over two amounts, or an amount and what is to be read in its currency."""

    def compare(left: Bare | bytearray, right: Bare | bytearray) -> bool:
        first, second = _pair(left, right)
        if first.currency != second.currency:
            raise ValueFault("amounts of two currencies")
        return operation(first.value, second.value)

    return compare


def _pair(left: Bare | bytearray, right: Bare | bytearray) -> tuple[Money, Money]:
    if isinstance(left, bytearray):
        first = _decoded(left)
        return first, _decoded(right) if isinstance(right, bytearray) else money_from(right, first.currency)
    if isinstance(right, bytearray):
        second = _decoded(right)
        return money_from(left, second.currency), second
    raise ValueFault("no amount")


def _decoded(raw: bytearray) -> Money:
    currency, _, value = raw.decode().partition(" ")
    return Money(Decimal(value), currency)
