"""What stands at a place of a configuration?  A cursor that reads protobuf's JSON as Envoy does.

A field has two spellings (``typed_config``, ``typedConfig``), a wrapped boolean two forms (``true``,
``{value: true}``), an enum a name or a number, and a duration is ``0.25s``.  What is absent, or of another kind, reads
as absent: whether Envoy takes a configuration is for ``envoy --mode validate`` to say.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Any, Final

from ott_extauthz.envoy_lint.document import Document, Path
from ott_extauthz.envoy_lint.finding import Finding, Place, Rule

_SECONDS: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)s")
_STRUCTS: Final = ("udpa.type.v1.TypedStruct", "xds.type.v3.TypedStruct")
_LOWER: Final = re.compile(r"_([a-z0-9])")


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands; an absent one knows where it would have stood."""

    document: Document
    path: Path
    value: Any

    def __getitem__(self, key: str | int) -> "Node":
        if isinstance(key, int):
            is_there = isinstance(self.value, list) and 0 <= key < len(self.value)
            return Node(self.document, (*self.path, key), self.value[key] if is_there else None)
        members = self.value if isinstance(self.value, dict) else {}
        spelled = key if key in members or (camel := _camel(key)) not in members else camel
        return Node(self.document, (*self.path, spelled), members.get(spelled))

    def at(self, *keys: str | int) -> "Node":
        """Return what stands below, however deep."""
        node = self
        for key in keys:
            node = node[key]
        return node

    def __iter__(self) -> Iterator["Node"]:
        """Yield the values of a list, or none."""
        values = self.value if isinstance(self.value, list) else []
        return (Node(self.document, (*self.path, index), value) for index, value in enumerate(values))

    @property
    def entries(self) -> Iterator[tuple[str, "Node"]]:
        """The members of a mapping as they are spelled, or none."""
        members = self.value if isinstance(self.value, dict) else {}
        return ((key, Node(self.document, (*self.path, key), value)) for key, value in members.items())

    @property
    def is_there(self) -> bool:
        """Whether anything stands here."""
        return self.value is not None

    @property
    def text(self) -> str:
        """A string; empty where there is none."""
        return self.value if isinstance(self.value, str) else ""

    @property
    def truth(self) -> bool:
        """A boolean, wrapped or not; false where there is none."""
        plain = self._plain
        return plain is True or (isinstance(plain, str) and plain.lower() in ("true", "yes", "on"))

    @property
    def is_false(self) -> bool:
        """Whether it says false, and not merely nothing."""
        return self.is_there and not self.truth

    @property
    def number(self) -> float | None:
        """A number, wrapped or in quotes or not; None where there is none."""
        plain = self._plain
        if isinstance(plain, bool) or not isinstance(plain, (int, float, str)):
            return None
        try:
            found = float(plain)
        except (ValueError, OverflowError):
            return None
        return found if isfinite(found) else None

    @property
    def seconds(self) -> float | None:
        """A duration; None where there is none."""
        found = _SECONDS.fullmatch(self.text)
        return float(found[1]) if found else None

    def enum(self, names: Sequence[str]) -> str:
        """Return an enum's name; absent is the first of them."""
        if isinstance(self.value, int) and 0 <= self.value < len(names):
            return names[self.value]
        return self.text or names[0]

    @property
    def typed(self) -> tuple[str, "Node"]:
        """An ``Any``: the message's full name, and its fields, out of a TypedStruct where they are in one."""
        name = _name(self["@type"].text)
        if name in _STRUCTS:
            return _name(self["type_url"].text), self["value"]
        return name, self

    @property
    def place(self) -> Place:
        """Where it stands."""
        return self.document.place(*self.path)

    def breaks(self, rule: Rule, detail: str) -> Finding:
        """Return the finding that a rule does not hold here."""
        return Finding(rule=rule, place=self.place, detail=detail)

    @property
    def _plain(self) -> Any:  # noqa: ANN401 - a scalar, or what Envoy would refuse
        if isinstance(self.value, dict) and set(self.value) <= {"value"}:
            return self.value.get("value")
        return self.value


@lru_cache(maxsize=1024)
def _camel(key: str) -> str:
    """Return protobuf's other spelling."""
    return _LOWER.sub(lambda found: found[1].upper(), key)


def _name(type_url: str) -> str:
    return type_url.rpartition("/")[2]


def strings_in(node: Node) -> Iterator[tuple[Node, str]]:
    """Yield every string below, with where it stands."""
    waiting = [node]
    while waiting:
        at = waiting.pop()
        if isinstance(at.value, str):
            yield at, at.value
        waiting += [*at, *(value for _, value in at.entries)]
