"""What does the chart's README say of its values?  A table made of the comments in values.yaml.

``python -m tests.chart.readme`` writes it.  A comment that begins with ``# --`` describes the key below it, up to the
key; a key without one is a heading of those that have.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from tests.chart.rendering import CHART

VALUES: Final = CHART / "values.yaml"
README: Final = CHART / "README.md"
_BEGIN: Final = "<!-- values -->\n"
_END: Final = "<!-- end -->"
_KEY: Final = re.compile(r"( *)([A-Za-z][A-Za-z0-9]*):")
_COMMENT: Final = re.compile(r" *#( -- )?(.*)")


@dataclass(frozen=True, slots=True)
class Row:
    """One value: its place, its default as JSON, and what it is for."""

    key: str
    default: str
    meaning: str


def rows() -> list[Row]:
    """Return every described value, in the order of the file."""
    text = VALUES.read_text()
    defaults = yaml.load(text, Loader=yaml.CSafeLoader)
    return [Row(key, json.dumps(_at(defaults, key)), meaning) for key, meaning in _described(text)]


def _described(text: str) -> Iterator[tuple[str, str]]:
    path: list[tuple[int, str]] = []
    meaning: str | None = None
    for line in text.splitlines():
        comment, key = _COMMENT.fullmatch(line), _KEY.match(line)
        if comment:
            begins = comment[1] is not None
            meaning = comment[2] if begins else None if meaning is None else f"{meaning} {comment[2].strip()}"
        elif key:
            path = [*((depth, name) for depth, name in path if depth < len(key[1])), (len(key[1]), key[2])]
            if meaning is not None:
                yield ".".join(name for _, name in path), meaning
            meaning = None


def _at(values: Any, key: str) -> Any:
    for name in key.split("."):
        values = values[name]
    return values


def with_values(text: str) -> str:
    """Return the README with its table made anew."""
    head, _, rest = text.partition(_BEGIN)
    lines = [f"| `{row.key}` | `{_escaped(row.default)}` | {_escaped(row.meaning)} |" for row in rows()]
    table = "\n".join(["| value | default | what for |", "|---|---|---|", *lines])
    return f"{head}{_BEGIN}{table}\n{_END}{rest.partition(_END)[2]}"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    README.write_text(with_values(README.read_text()))
