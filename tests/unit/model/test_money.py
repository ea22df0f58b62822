"""Amounts are exact, in the digits of their own currency."""

from decimal import Decimal

import pytest

from ott_extauthz.model.mandate import Money
from ott_extauthz.model.money import MAX_MINOR_UNITS, MINOR_DIGITS, minor_units, money_from, units_of


@pytest.mark.parametrize(
    ("value", "currency", "units"),
    [
        ("5000", "EUR", 500_000),
        ("5000.01", "EUR", 500_001),
        ("0.10", "EUR", 10),
        (5000, "EUR", 500_000),
        ("0", "EUR", 0),
        ("5000", "JPY", 5000),
        ("5000.0", "JPY", 5000),
        ("1.001", "BHD", 1001),
        ("1.0001", "CLF", 10_001),
        ("9999999999999.99", "EUR", MAX_MINOR_UNITS),
    ],
)
def test_an_amount_has_its_currencys_minor_units(value: object, currency: str, units: int) -> None:
    assert units_of(money_from({"value": value, "currency": currency})) == units


@pytest.mark.parametrize(
    ("value", "currency"),
    [
        ("1.001", "EUR"), ("1.5", "JPY"), ("1.0001", "BHD"), ("-1", "EUR"), ("+1", "EUR"), ("1e3", "EUR"),
        (" 1", "EUR"), ("1 ", "EUR"), ("1,000", "EUR"), ("01", "EUR"), (".5", "EUR"), ("5.", "EUR"), ("", "EUR"),
        ("NaN", "EUR"), ("Infinity", "EUR"), ("\u0661", "EUR"), ("1\n", "EUR"), (1.5, "EUR"), (True, "EUR"),
        (None, "EUR"), (-1, "EUR"), (["1"], "EUR"), ("1", "eur"), ("1", "EURO"), ("1", "BTC"), ("1", ""), ("1", None),
        ("1", ["EUR"]), ("10000000000000.00", "EUR"), (10**30, "JPY"),
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused(value: object, currency: object) -> None:
    with pytest.raises(ValueError, match=r"value|currency"):
        money_from({"value": value, "currency": currency})


@pytest.mark.parametrize(
    "form", [None, "5 EUR", [], {"value": "5"}, {"value": "5", "currency": "EUR", "unit": "minor"}]
)
def test_an_amount_has_two_members(form: object) -> None:
    with pytest.raises(ValueError, match="written"):
        money_from(form)


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-0.0", "-1", "1E+3", "1.005"])
def test_only_whole_minor_units_count(value: str) -> None:
    assert minor_units(Decimal(value), 2) is None


def test_long_decimals_are_not_rounded() -> None:
    assert minor_units(Decimal("1." + "0" * 40 + "1"), 2) is None
    assert minor_units(Decimal("1234567890123456789012345678901234567890.12"), 2) == int(
        "12345678901234567890123456789012345678901" + "2"
    )


def test_money_of_no_currency_has_no_units() -> None:
    with pytest.raises(ValueError, match="currency"):
        units_of(Money(Decimal(1), "XYZ"))


def test_iso_4217_says_the_digits() -> None:
    assert [MINOR_DIGITS[code] for code in ("EUR", "JPY", "BHD", "CLF")] == [2, 0, 3, 4]
    assert all(len(code) == 3 and code.isupper() for code in MINOR_DIGITS)
