"""Does the data fit the model?  Pydantic's errors, each at its place, with a suggestion for a near miss."""

import difflib
import re
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, WithJsonSchema

from ott_extauthz.documents.located import Located, Path
from ott_extauthz.documents.problems import DocumentError, Problem

_DURATION: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)")
_NO_MAPPING: Final = frozenset({"model_type", "model_attributes_type", "dict_type"})
_UNITS_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SIZE: Final = re.compile(r"([1-9][0-9]{0,8})(KiB|MiB|GiB)")
_UNITS_BYTES: Final = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_LONGEST_MS: Final = 10_000 * 365 * 86_400_000


class Model(BaseModel):
    """A part of a document: frozen, and an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


def _milliseconds(value: Any) -> int:  # noqa: ANN401 - whatever stood in the file
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("a duration is a number with a unit: 500ms, 2s, 5m, 1h")
    milliseconds = float(found[1]) * _UNITS_MS[found[2]]
    if milliseconds > _LONGEST_MS:
        raise ValueError("a duration is at most 10000 years")
    return round(milliseconds)


Duration = Annotated[
    int,
    BeforeValidator(_milliseconds),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$", "examples": ["500ms", "2s", "5m"]}),
]
"""A span of time, written with its unit (``500ms``, ``2s``, ``5m``); kept in milliseconds."""


def _bytes(value: Any) -> int:  # noqa: ANN401 - whatever stood in the file
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("a size is a whole number with a unit: 512KiB, 100MiB, 2GiB")
    return int(found[1]) * _UNITS_BYTES[found[2]]


Size = Annotated[
    int,
    BeforeValidator(_bytes),
    WithJsonSchema({"type": "string", "pattern": f"^{_SIZE.pattern}$", "examples": ["512KiB", "100MiB", "2GiB"]}),
]
"""A number of bytes, written with its unit (``100MiB``)."""

M = TypeVar("M", bound=BaseModel)


def validated(located: Located, model: type[M]) -> M:
    """Return the document as ``model``.

    Raises:
        DocumentError: every misfit at once, each with line, column and field.
    """
    try:
        return model.model_validate(located.data)
    except ValidationError as error:
        raise DocumentError(_problem(located, detail, model) for detail in error.errors()) from None


@cache  # it takes 0.2 s for a policy's, and as much again for each bad reload
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _problem(located: Located, detail: Any, model: type[BaseModel]) -> Problem:  # noqa: ANN401 - pydantic's own dict
    path = _real_path(located, detail["loc"], is_absent=detail["type"] == "missing")
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        schema = _schema(model)
        near = difflib.get_close_matches(str(path[-1]), sorted(set(_keys_at(schema, schema, path[:-1]))), n=1)
        message = "unknown key" + (f"; did you mean {near[0]!r}?" if near else "")
    elif detail["type"] == "missing":
        message = "required"
    elif detail["type"] in _NO_MAPPING:
        message = "must be a mapping"
    return located.problem(path, message)


def _real_path(located: Located, loc: Path, *, is_absent: bool) -> Path:
    """Drop the names of union members that pydantic mixes into the path; an absent field has no place of its own."""
    path: Path = ()
    for part in loc:
        if (*path, part) in located.places:
            path = (*path, part)
    return (*path, loc[-1]) if is_absent else path


def _keys_at(schema: dict[str, Any], part: Any, path: Path) -> Iterator[str]:  # noqa: ANN401 - a part of a JSON Schema
    """Yield the keys that the mapping at ``path`` may have."""
    if not isinstance(part, dict):
        return
    if "$ref" in part:
        yield from _keys_at(schema, schema["$defs"][part["$ref"].rpartition("/")[2]], path)
    for branch in (*part.get("anyOf", ()), *part.get("oneOf", ())):
        yield from _keys_at(schema, branch, path)
    properties = part.get("properties", {})
    if not path:
        yield from properties
    elif isinstance(path[0], int):
        yield from _keys_at(schema, part.get("items"), path[1:])
    else:
        yield from _keys_at(schema, properties.get(path[0], part.get("additionalProperties")), path[1:])
