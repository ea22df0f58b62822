"""What enters the engine: looked at to the last leaf, and refused in words that hold none of it."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from ott_extauthz.model.json_body import MAX_DEPTH
from ott_extauthz.policy.expressions.addresses import address_from
from ott_extauthz.policy.expressions.conversion import CONVERTERS
from ott_extauthz.policy.expressions.faults import ValueFault, explanation
from ott_extauthz.policy.expressions.local_time import zone_from
from ott_extauthz.policy.expressions.situation import JsonBody


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("string", 1, "is not a text"),
        ("string", "admin\0x", "holds a NUL character"),
        ("string", "\ud800", "holds half a surrogate pair"),
        ("list(string)", "ab", "is not a list"),
        ("list(string)", ["a", 1], "is not a text"),
        ("map(string, string)", {"a\0": "b"}, "holds a NUL character"),
        ("map(string, list(string))", {"a": "b"}, "is not a list"),
        ("int", True, "is not a 64-bit integer"),
        ("int", 1.0, "is not a 64-bit integer"),
        ("int", 2**63, "is not a 64-bit integer"),
        ("int", -(2**63) - 1, "is not a 64-bit integer"),
        ("list(int)", [1, "1"], "is not a 64-bit integer"),
        ("timestamp", datetime(2026, 7, 1), "is not an instant with a zone"),  # noqa: DTZ001 - the attack
        ("timestamp", 1, "is not an instant with a zone"),
        ("map(string, dyn)", ["a"], "is not a map"),
        ("map(string, dyn)", {"a": {"b": ["c\0"]}}, "holds a NUL character"),
        ("map(string, dyn)", {"a": float("nan")}, "holds a value that JSON does not have"),
        ("map(string, dyn)", {"a": b"x"}, "holds a value that JSON does not have"),
        ("dyn", {"a": 1}, "is not a body that was read"),
        ("dyn", JsonBody(nested(MAX_DEPTH + 1)), "is nested too deeply"),
        ("dyn", JsonBody(Decimal("0.1000000000000000000001")), "holds a number that a double cannot hold"),
        ("dyn", JsonBody(Decimal("1e999")), "holds a number that a double cannot hold"),
    ],
)
def test_what_would_be_cut_rounded_or_misread_is_refused(kind: str, value: object, message: str) -> None:
    with pytest.raises(ValueFault) as caught:
        CONVERTERS[kind](value)
    assert caught.value.message.split(";")[0] == message


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", 2**63 - 1),
        ("int", -(2**63)),
        ("timestamp", datetime(2026, 7, 1, tzinfo=UTC)),
        ("map(string, dyn)", {"a": [None, True, 1, "\u00e9", {"b": 1.5}]}),
        ("map(string, list(string))", {"a": ["b", "c"]}),
    ],
)
def test_what_the_engine_can_hold_goes_in_as_it_is(kind: str, value: object) -> None:
    assert CONVERTERS[kind](value) == value


def test_a_body_may_be_as_deep_as_the_reader_lets_it() -> None:
    assert CONVERTERS["dyn"](JsonBody(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    assert CONVERTERS["dyn"](JsonBody(Decimal("12.5"))) == 12.5


def test_a_fault_is_told_without_the_value() -> None:
    with pytest.raises(ValueFault, match=r"^ott: not an IP address$"):
        address_from("secret")
    with pytest.raises(ValueFault, match=r"^ott: not an IP address$"):
        address_from("fe80::1%secret")
    with pytest.raises(ValueFault, match=r"^ott: no such time zone \(IANA name, such as Europe/Berlin\)$"):
        zone_from("secret")
    assert explanation('NOT_FOUND: Key not found in map : "secret"', {"amount"}) == "no such member"
    assert explanation('NOT_FOUND: Key not found in map : "amount"', {"amount"}) == "no member 'amount'"
