r"""How does a value of ours enter the engine, so that nothing is cut, rounded or crashes on the way?

The engine's binding copies texts up to the first NUL (``admin\0x`` would equal ``admin``), throws on half a surrogate
pair and ends the process on very deep values; so each text and each value of open type is looked at before.
"""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from ott_extauthz.model.json_body import MAX_DEPTH
from ott_extauthz.policy.expressions.faults import ValueFault
from ott_extauthz.policy.expressions.money import encoded
from ott_extauthz.policy.expressions.situation import UNCLEAR, JsonBody

INT64: Final = range(-(2**63), 2**63)
"""What an integer may be."""

Converter = Callable[[Any], Any]


def text(value: Any) -> str:  # noqa: ANN401 - a caller may hand over anything
    """Return a text that the engine reads whole."""
    if value is UNCLEAR:
        raise ValueFault("has two readings")
    if not isinstance(value, str):
        raise ValueFault("is not a text")
    if "\0" in value:
        raise ValueFault("holds a NUL character")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueFault("holds half a surrogate pair")
    return value


def texts(value: Any) -> list[str]:  # noqa: ANN401
    """Return a list of texts; a single text is none, nor is a map."""
    if not isinstance(value, list | tuple):
        raise ValueFault("is not a list")
    return [text(item) for item in value]


def text_map(value: Mapping[str, Any]) -> dict[str, str]:
    """Return a map of texts."""
    return {text(name): text(item) for name, item in value.items()}


def query_map(value: Any) -> dict[str, list[str]]:  # noqa: ANN401
    """Return a map of lists of texts."""
    return {text(name): texts(items) for name, items in value.items()}


def whole(value: Any) -> int:  # noqa: ANN401
    """Return a signed 64-bit integer."""
    if not isinstance(value, int) or isinstance(value, bool) or value not in INT64:
        raise ValueFault("is not a 64-bit integer")
    return value


def wholes(value: Any) -> list[int]:  # noqa: ANN401
    """Return a list of integers."""
    return [whole(item) for item in value]


def instant(value: Any) -> datetime:  # noqa: ANN401
    """Return an instant; a time without a zone is none."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueFault("is not an instant with a zone")
    return value


def open_map(value: Any) -> Any:  # noqa: ANN401
    """Return claims and the like: JSON values, checked to the last leaf."""
    if not isinstance(value, Mapping):
        raise ValueFault("is not a map")
    return _open(value, MAX_DEPTH)


def _open(value: Any, depth: int) -> Any:  # noqa: ANN401
    if depth < 0:
        raise ValueFault("is nested too deeply")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return text(value)
    if isinstance(value, int):
        return whole(value)
    if isinstance(value, Decimal):
        return _double(value)
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, Mapping):
        return {text(name): _open(item, depth - 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_open(item, depth - 1) for item in value]
    raise ValueFault("holds a value that JSON does not have")


def _double(value: Decimal) -> float:
    """Return the double that gives these digits back (RFC 7493 §2.2): to compare two is to compare what was written."""
    found = float(value)
    if not math.isfinite(found) or Decimal(repr(found)) != value:
        raise ValueFault("holds a number that a double cannot hold; send it as a text, and compare with money()")
    return found


def json_body(value: Any) -> Any:  # noqa: ANN401
    """Return a body's value, checked to the last leaf."""
    if not isinstance(value, JsonBody):
        raise ValueFault("is not a body that was read")
    return _open(value.value, MAX_DEPTH)


CONVERTERS: Final[dict[str, Converter]] = {
    "string": text,
    "list(string)": texts,
    "map(string, string)": text_map,
    "map(string, list(string))": query_map,
    "int": whole,
    "list(int)": wholes,
    "timestamp": instant,
    "map(string, dyn)": open_map,
    "dyn": json_body,
    "amount": encoded,
}
"""The type of a variable to how its value is converted."""
