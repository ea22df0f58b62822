"""Is this body one JSON value that every parser reads alike (RFC 8259, RFC 7493), and which?

- The whole of it, byte for byte: what Envoy did not vouch for is not read at all.
- UTF-8 without a BOM; no member twice, no NaN, no half of a surrogate pair: parsers differ on these.
- Numbers are exact: int, or Decimal where there is a fraction.  One with an exponent is a float, so that whoever needs
  it exact can tell.
- Time and memory are bounded by the body's size: nesting and the length of numbers are judged before they are read.
"""

import json
import math
import re
from decimal import Decimal
from typing import Any, Final, NoReturn

from ott_extauthz.model.body import Body
from ott_extauthz.model.reason import Reason

MAX_DEPTH: Final = 64
MAX_NUMBER_CHARACTERS: Final = 64
"""Longer ones are no amounts, and ``int()`` needs quadratic time for them."""

# The closing quote is optional and the repetition possessive: an unterminated string is passed over once.
_TOKENS: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_STEPS: Final = {"[": 1, "{": 1, "]": -1, "}": -1}
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _constant(name: str) -> NoReturn:
    raise ValueError(name)


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER_CHARACTERS:
        raise ValueError("number too long")
    return int(text)


def _fraction(text: str) -> Decimal | float:
    if len(text) > MAX_NUMBER_CHARACTERS:
        raise ValueError("number too long")
    if "e" not in text and "E" not in text:
        return Decimal(text)
    value = float(text)
    if not math.isfinite(value) or Decimal(repr(value)) != Decimal(text):
        raise ValueError("number out of range, or with more digits than a double has")
    return value


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_fraction, parse_constant=_constant
)


def json_body(body: Body) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON value (None, bool, int, Decimal, float, str, list, dict), or the Reason why there is none."""
    if not body.is_complete:
        return Reason.BODY_INCOMPLETE
    if not body.is_binary_safe:
        return Reason.BODY_NOT_BINARY_SAFE
    try:
        text = body.raw.decode("utf-8")
        if _is_deep(text):
            return Reason.BODY_MALFORMED
        value = _DECODER.decode(text)
    except (ValueError, RecursionError):
        return Reason.BODY_MALFORMED
    return Reason.BODY_MALFORMED if "\\u" in text and _has_half_a_pair(value) else value


def _is_deep(text: str) -> bool:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for found in _TOKENS.finditer(text):
        depth += _STEPS.get(found[0], 0)
        if depth > MAX_DEPTH:
            return True
    return False


def _has_half_a_pair(value: object) -> bool:
    if isinstance(value, str):
        return _SURROGATE.search(value) is not None
    if isinstance(value, dict):
        return any(_has_half_a_pair(name) or _has_half_a_pair(part) for name, part in value.items())
    return isinstance(value, list) and any(map(_has_half_a_pair, value))
