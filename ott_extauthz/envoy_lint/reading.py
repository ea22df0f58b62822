"""What does the text say?  YAML, several documents of it, or JSON, as plain data with the lines where it stood.

Unlike our own documents (``documents.located``) Envoy's may have anchors and aliases: each alias is the very object
that its anchor is, and what all of them come to is counted, so that ten lines cannot grow into a billion values.

- Nothing recurses deeper than :data:`MAX_DEPTH`; no tag makes anything but plain data.
- A key that stands twice is a mistake: Envoy refuses it too, and which of the two would count?
- ``!ignore`` drops what it stands before, as Envoy does.
- JSON is read without lines: dumps are long, and a path finds its place there as well.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.envoy_lint.document import Document, Path

MAX_DEPTH: Final = 200
"""More than any configuration nests; a bound for whatever walks the data."""
MAX_VALUES: Final = 1_000_000
"""Values of one text with every alias written out; a bootstrap of a thousand routes has a twentieth of them."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)(\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?")
_LONGEST_NUMBER: Final = 40
_WORDS: Final[dict[str, bool | None]] = {
    "": None, "~": None, "null": None, "true": True, "True": True, "TRUE": True, "false": False, "False": False,
    "FALSE": False,
}  # fmt: skip
_PLAIN: Final = (None, "")  # how libyaml and PyYAML call a scalar without quotes
_IGNORED: Final = "!ignore"


def documents_in(text: str, name: str) -> list[Document]:
    """Return the documents of a text; empty ones are left out, and what is no mapping is an empty one.

    Raises:
        DocumentError: neither YAML nor JSON, or a construct outside the plain subset; with its place.
    """
    if text.lstrip().startswith(("{", "[")):
        try:
            return [_document(name, _json(text), {})]
        except _NotJsonError:
            raise DocumentError([Problem(name, 0, 0, "", "a key stands twice")]) from None
        except RecursionError:
            raise DocumentError([Problem(name, 0, 0, "", f"nested deeper than {MAX_DEPTH}")]) from None
        except ValueError:
            pass  # YAML's flow style begins like JSON
    try:
        return [_document(name, data, _Lines(place)) for data, place in _Reader(name, text).documents()]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise DocumentError([Problem(name, line, column, "", f"not YAML: {error.problem}")]) from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise DocumentError([Problem(name, 0, 0, "", f"not YAML: {type(error).__name__}")]) from None


class _NotJsonError(Exception):
    """A key that stands twice; never leaves this module."""


def _json(text: str) -> Any:  # noqa: ANN401 - any JSON value
    return json.loads(text, object_pairs_hook=_members)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _NotJsonError
    return members


def _document(name: str, data: Any, lines: Mapping[Path, int]) -> Document:  # noqa: ANN401 - any plain data
    # A playbook's list or a patch's is somebody else's document, as a mapping of other keys is.
    return Document(name=name, tree=data if isinstance(data, dict) else {}, lines=lines)


@dataclass(slots=True)
class _Place:
    """Where a value stood, how many values it comes to, and the places of the values in it."""

    line: int
    size: int = 1
    parts: "dict[str | int, _Place]" = field(default_factory=dict)


class _Lines(Mapping[Path, int]):
    """The lines as a mapping from paths, which are made only when somebody asks."""

    def __init__(self, root: _Place) -> None:
        self._root = root

    def __getitem__(self, path: Path) -> int:
        place: _Place | None = self._root
        for key in path:
            place = None if place is None else place.parts.get(key)
        if place is None:
            raise KeyError(path)
        return place.line

    def __iter__(self) -> Iterator[Path]:
        waiting: list[tuple[Path, _Place]] = [((), self._root)]
        while waiting:
            path, place = waiting.pop()
            yield path
            waiting += [((*path, key), part) for key, part in place.parts.items()]

    def __len__(self) -> int:
        return self._root.size


class _Reader:
    """Turns YAML events into data and places."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._depth = 0
        self._anchored: dict[str, tuple[Any, _Place]] = {}
        self._events = yaml.parse(text, Loader=_LOADER)

    def documents(self) -> Iterator[tuple[Any, _Place]]:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchored = {}
                data, place = self._value(next(self._events))
                if data is not None:
                    yield data, place

    def _value(self, event: yaml.Event) -> tuple[Any, _Place]:
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchored:
                raise self._mistake(event, "an alias of nothing, or of what it stands in")
            return self._anchored[event.anchor]
        place = _Place(_line_and_column(event)[0])
        if isinstance(event, yaml.ScalarEvent):
            data: Any = _scalar(event)
        else:
            if self._depth >= MAX_DEPTH:
                raise self._mistake(event, f"nested deeper than {MAX_DEPTH}")
            self._depth += 1
            data = self._mapping(place) if isinstance(event, yaml.MappingStartEvent) else self._sequence(place)
            self._depth -= 1
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchored[anchor] = data, place
        return data, place

    def _sequence(self, into: _Place) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            value, place = self._value(event)
            self._put(into, len(values), place, event)
            values.append(value)
        return values

    def _mapping(self, into: _Place) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(key := next(self._events), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent) or (key.value == "<<" and key.style in _PLAIN):
                raise self._mistake(key, "a key must be a plain string")
            if key.value in values:
                raise self._mistake(key, f"{key.value!r} stands twice")
            event = next(self._events)
            value, place = self._value(event)
            if getattr(event, "tag", None) != _IGNORED:
                values[key.value] = value
                self._put(into, key.value, place, event)
        return values

    def _put(self, into: _Place, key: str | int, place: _Place, event: yaml.Event) -> None:
        into.parts[key] = place
        into.size += place.size
        if into.size > MAX_VALUES:
            raise self._mistake(event, f"more than {MAX_VALUES} values with its aliases written out")

    def _mistake(self, event: yaml.Event, message: str) -> DocumentError:
        return DocumentError([Problem(self._name, *_line_and_column(event), "", message)])


def _line_and_column(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)


def _scalar(event: yaml.ScalarEvent) -> str | float | bool | None:
    text: str = event.value
    if event.style not in _PLAIN:  # quoted or block: always a string
        return text
    if text in _WORDS:
        return _WORDS[text]
    found = _NUMBER.fullmatch(text) if len(text) <= _LONGEST_NUMBER else None
    if found is None:
        return text
    return int(text) if text.lstrip("+-").isdigit() else float(text)
