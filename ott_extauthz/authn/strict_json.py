"""Is this one JSON object that every parser reads the same way (RFC 8725 §2.4, RFC 7519 §4)?"""

import json
from typing import Any, NoReturn


class NotStrictJsonError(ValueError):
    """Not UTF-8, not an object, a member twice, a constant JSON does not have, or nested too deep."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotStrictJsonError("duplicate member")
    return members


def _constant(name: str) -> NoReturn:
    raise NotStrictJsonError(name)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def object_from(raw: bytes) -> dict[str, Any]:
    """Return the one JSON object in ``raw``.

    Raises:
        NotStrictJsonError: for everything that is not exactly that.
    """
    try:
        value = _DECODER.decode(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise NotStrictJsonError(type(error).__name__) from None
    if not isinstance(value, dict):
        raise NotStrictJsonError("not an object")
    return value
