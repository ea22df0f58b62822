"""How much is that, exactly?  Decimal text in an ISO 4217 currency, and its minor units as an integer.

No float ever takes part.  A value with more digits than its currency has is no amount of that currency.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from ott_extauthz.model.mandate import Money

MAX_MINOR_UNITS: Final = 10**15 - 1
"""Below 2^53: stores whose numbers are doubles still count it exactly."""

_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,4})?", re.ASCII)
_CURRENCIES: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE "
    "CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG "
    "HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK "
    "MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE "
    "SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR "
    "ZMW ZWG",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
MINOR_DIGITS: Final[Mapping[str, int]] = MappingProxyType(
    {code: digits for digits, codes in _CURRENCIES.items() for code in codes.split()}
)
"""ISO 4217 currency to the number of digits after its decimal point."""


def decimal_from(text: str) -> Decimal | None:
    """Read plain decimal text: no sign, exponent, leading zero or white space; None for anything else."""
    return Decimal(text) if _DECIMAL.fullmatch(text) else None


def minor_units(value: Decimal, digits: int) -> int | None:
    """Return ``value`` times 10^digits, or None where it is negative or no whole number of minor units."""
    sign, figures, exponent = value.as_tuple()
    if sign or not isinstance(exponent, int) or exponent > 0:  # NaN and infinity have letters for an exponent
        return None
    whole: int = int("".join(map(str, figures)))
    shift = exponent + digits
    if shift >= 0:
        return whole * int(10**shift)
    units, rest = divmod(whole, 10**-shift)
    return None if rest else units


def money_from(value: object) -> Money:
    """Read ``{value: "5000.00", currency: EUR}``.

    Raises:
        ValueError: what is wrong with it, in one line.
    """
    if not isinstance(value, dict) or value.keys() != {"value", "currency"}:
        raise ValueError('an amount is written {value: "5000.00", currency: EUR}')
    currency, written = value["currency"], value["value"]
    digits = MINOR_DIGITS.get(currency) if isinstance(currency, str) else None
    if digits is None:
        raise ValueError("currency: not an ISO 4217 code in capitals")
    amount = decimal_from(str(written) if type(written) is int else written) if type(written) in (int, str) else None
    units = None if amount is None else minor_units(amount, digits)
    if amount is None or units is None:
        raise ValueError(f"value: decimal text with at most {digits} digits after the point, without sign or exponent")
    if units > MAX_MINOR_UNITS:
        raise ValueError("value: too large")
    return Money(amount, currency)


def units_of(money: Money) -> int:
    """Return an amount that :func:`money_from` made in the minor units of its currency.

    Raises:
        ValueError: the amount is none of its currency.
    """
    units = minor_units(money.value, MINOR_DIGITS.get(money.currency, -1))
    if units is None or money.currency not in MINOR_DIGITS:
        raise ValueError("not an amount of its currency")
    return units
