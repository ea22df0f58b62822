"""Which line said so?  YAML text as plain data that remembers where each value stood.

- Only plain values: strings, numbers, ``true``/``false``, null, lists, mappings.  ``NO`` and a date stay strings.
- A key twice in one mapping, an anchor or alias, and a key that is not a string are mistakes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from ott_extauthz.documents.problems import DocumentError, Problem

Path = tuple[str | int, ...]
MAX_DEPTH: Final = 64
"""Deeper nesting than any of our documents has; a bound for whatever walks the data."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)\.[0-9]+")
_BOOLEANS: Final = {"true": True, "false": False}
_NULLS: Final = {"", "~", "null"}


@dataclass(frozen=True, slots=True)
class Located:
    """Plain data and, for each path into it, the line and column where it stood."""

    source: str
    data: Any
    places: Mapping[Path, tuple[int, int]]

    def problem(self, path: Path, message: str) -> Problem:
        """Return a problem placed at ``path``, or at its nearest ancestor that the text has."""
        known = path
        while known not in self.places and known:
            known = known[:-1]
        line, column = self.places.get(known, (0, 0))
        return Problem(self.source, line, column, dotted(path), message)


def dotted(path: Path) -> str:
    """Return ``routes[2].match.path`` for ``("routes", 2, "match", "path")``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_yaml(text: str, source: str) -> Located:
    """Read one YAML document.

    Raises:
        DocumentError: not YAML, several documents, or a construct outside the plain subset; all problems at once.
    """
    try:
        _bound_depth(text, source)
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise DocumentError([Problem(source, line, column, "", f"not YAML: {error.problem}")]) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise DocumentError([Problem(source, 0, 0, "", f"not YAML: {type(error).__name__}")]) from None
    walk = _Walk(source)
    data = None if node is None else walk.value(node, ())
    if walk.problems:
        raise DocumentError(walk.problems)
    return Located(source, data, walk.places)


def _bound_depth(text: str, source: str) -> None:
    # The parser's events come one by one; composing them recurses in C, where 100,000 brackets end the process.
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            mark = event.start_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            raise DocumentError([Problem(source, line, column, "", f"nested deeper than {MAX_DEPTH}")])


class _Walk:
    """Turns YAML nodes into data, collecting places and problems on the way."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.places: dict[Path, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        self._seen: set[int] = set()

    def value(self, node: yaml.Node, path: Path) -> Any:  # noqa: ANN401 - YAML holds anything
        self.places[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        if id(node) in self._seen:
            return self._mistake(node, path, "anchors and aliases are not supported; write the value out")
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None or key_node.tag == "tag:yaml.org,2002:merge":
                self._mistake(key_node, path, "a key must be a plain string")
            elif key in result:
                self._mistake(key_node, (*path, key), "this key stands twice")
            else:
                result[key] = self.value(value_node, (*path, key))
        return result

    def _mistake(self, node: yaml.Node, path: Path, message: str) -> None:
        mark = node.start_mark
        self.problems.append(Problem(self.source, mark.line + 1, mark.column + 1, dotted(path), message))


def _scalar(node: yaml.Node) -> str | float | bool | None:
    text: str = node.value
    if getattr(node, "style", None) not in (None, ""):  # quoted or block: always a string
        return text
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INT.fullmatch(text) and len(text) < 20:  # noqa: PLR2004 - beyond 64 bits it is text, and the model says so
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
