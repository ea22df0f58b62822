from decimal import Decimal

import pytest

from ott_extauthz.model.money import MINOR_DIGITS
from ott_extauthz.policy.expressions.faults import ValueFault
from ott_extauthz.policy.expressions.money import Bare, money_from


@pytest.mark.parametrize(
    ("value", "currency", "expected"),
    [
        ("0", "EUR", "0"),
        ("12.50", "EUR", "12.50"),
        (12.5, "EUR", "12.5"),
        (0.1, "EUR", "0.1"),
        (100.0, "JPY", "100"),
        (1e15, "JPY", "1000000000000000"),
        (5, "BHD", "5"),
        ("1.234", "BHD", "1.234"),
        ("1.2345", "CLF", "1.2345"),
        ("999999999999999999.99", "EUR", "999999999999999999.99"),
        (999999999999999999, "JPY", "999999999999999999"),
    ],
)
def test_an_amount_keeps_its_digits(value: Bare, currency: str, expected: str) -> None:
    assert money_from(value, currency).value == Decimal(expected)


@pytest.mark.parametrize(
    ("value", "currency"),
    [
        ("1.5", "JPY"),
        (0.5, "JPY"),
        ("1.005", "EUR"),
        (1.005, "EUR"),
        ("1.2345", "BHD"),
        ("1.23456", "CLF"),
        ("1000000000000000000", "EUR"),
        (10**18, "EUR"),
        (1e18, "EUR"),
        (1e300, "EUR"),
        (1e-7, "EUR"),
    ],
)
def test_more_digits_than_the_currency_has_are_no_amount(value: Bare, currency: str) -> None:
    with pytest.raises(ValueFault):
        money_from(value, currency)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "+1",
        "-0",
        "01",
        "1.",
        ".5",
        "1,5",
        "1 000",
        "1e3",
        "NaN",
        "Infinity",
        "0x1",
        "1_0",
        "\u0661",
        "1\n",
        " 1",
        "1²",
    ],
)
def test_what_only_some_parsers_read_is_no_amount(text: str) -> None:
    with pytest.raises(ValueFault):
        money_from(text, "EUR")


@pytest.mark.parametrize("value", [True, False, -1, -0.5, float("nan"), float("inf")])
def test_no_truth_and_nothing_below_zero_is_an_amount(value: Bare) -> None:
    with pytest.raises(ValueFault):
        money_from(value, "EUR")


@pytest.mark.parametrize("currency", ["", "eur", "EURO", "XXX", "XAU", "EUR ", "€"])
def test_a_currency_is_its_code(currency: str) -> None:
    with pytest.raises(ValueFault):
        money_from("1", currency)


def test_minor_digits_of_iso_4217() -> None:
    assert {code: MINOR_DIGITS[code] for code in ("EUR", "USD", "JPY", "KRW", "BHD", "KWD", "CLF")} == {
        "EUR": 2,
        "USD": 2,
        "JPY": 0,
        "KRW": 0,
        "BHD": 3,
        "KWD": 3,
        "CLF": 4,
    }
    assert all(len(code) == 3 and code.isupper() for code in MINOR_DIGITS)
