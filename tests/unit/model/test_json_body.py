"""A body is read only where every parser would read the same value, and no body costs more than its size."""

import time
from decimal import Decimal

import pytest

from ott_extauthz.model.body import NO_BODY, Body
from ott_extauthz.model.json_body import MAX_DEPTH, MAX_NUMBER_CHARACTERS, json_body
from ott_extauthz.model.reason import Reason


def read(raw: bytes) -> object:
    return json_body(Body(raw, is_complete=True))


def nested(depth: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    return opening * depth + closing * depth


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"amount": 12.50}', {"amount": Decimal("12.50")}),
        (b" [1, -2, true, null]\r\n", [1, -2, True, None]),
        (b"0.1", Decimal("0.1")),
        (b"1e2", 100.0),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        ('"é"'.encode(), "é"),
        (b"9" * MAX_NUMBER_CHARACTERS, int("9" * MAX_NUMBER_CHARACTERS)),
        (b'"' + b"[" * 1000 + b'"', "[" * 1000),
        (b'["\\"[[[[", "' + b"{" * 100 + b'"]', ['"[[[[', "{" * 100]),
        (b"[" + b"[]," * 5000 + b"[]]", [[]] * 5001),
    ],
)
def test_plain_json_is_read_exactly(raw: bytes, value: object) -> None:
    found = read(raw)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'{"amount": 1',
        b'{"amount": 1}x',
        b"\xef\xbb\xbf{}",
        '{"amount": 1}'.encode("utf-16"),
        b'{"a": "\xff"}',
        b'{"amount": 1, "amount": 9}',
        b'{"a": {"amount": 1, "\\u0061mount": 9}}',
        b"NaN",
        b"-Infinity",
        b"1e400",
        b"9" * (MAX_NUMBER_CHARACTERS + 1),
        b"0." + b"9" * MAX_NUMBER_CHARACTERS,
        b"01",
        b"+1",
        b".5",
        b"'a'",
        b"{} // comment",
        b'"\\ud800"',
        b'{"\\udc00": 1}',
        b'["\\ud83d", "x"]',
        b'"\n"',
        b"\x00",
    ],
)
def test_what_parsers_read_differently_is_no_value(raw: bytes) -> None:
    assert read(raw) is Reason.BODY_MALFORMED


def test_what_envoy_did_not_vouch_for_is_not_read() -> None:
    assert json_body(NO_BODY) is Reason.BODY_INCOMPLETE
    assert json_body(Body(b"{}", is_complete=False)) is Reason.BODY_INCOMPLETE
    assert json_body(Body(b"{}", is_complete=True, is_binary_safe=False)) is Reason.BODY_NOT_BINARY_SAFE


def test_nesting_ends_at_its_bound() -> None:
    assert read(nested(MAX_DEPTH)) != Reason.BODY_MALFORMED
    assert read(nested(MAX_DEPTH + 1)) is Reason.BODY_MALFORMED
    assert read(nested(MAX_DEPTH // 2, b'{"a":[', b"]}")) is not Reason.BODY_MALFORMED
    assert read(b"[" * MAX_DEPTH + nested(1, b'{"a":1', b"}") + b"]" * MAX_DEPTH) is Reason.BODY_MALFORMED


@pytest.mark.parametrize(
    "raw",
    [
        nested(100_000),
        nested(100_000, b'{"a":', b"}"),
        b"[" * 1_000_000,
        b"9" * 1_000_000,
        b"1." + b"9" * 1_000_000,
        b"1e" + b"9" * 1_000_000,
        b'["' + b'\\"' * 500_000,
        b"[" * 65 + b'"' + b'\\"' * 500_000,
        b"[" * 65 + b'"\\' * 300_000,
        bytes(range(256)) * 4000,
        b'"' * 1_000_000,
    ],
    ids=lambda raw: raw[:6].hex(),
)
def test_a_hostile_body_costs_no_more_than_its_size(raw: bytes) -> None:
    started = time.process_time()
    assert read(raw) is Reason.BODY_MALFORMED
    assert time.process_time() - started < 1
