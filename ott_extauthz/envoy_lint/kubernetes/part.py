"""What stands at a place in an object?  A value with its place; what is absent, or has another shape, is None.

Protobuf's JSON takes a field's name in camelCase and in snake_case, so both are found here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import yaml

from ott_extauthz.envoy_lint.document import Document, Path
from ott_extauthz.envoy_lint.finding import Finding, Rule

_DURATION: Final = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:h|ms|m|s|us|ns))+")
_SPAN: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(h|ms|m|s|us|ns)")
_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an object, and where it stands."""

    document: Document
    path: Path
    value: Any

    def at(self, *names: str) -> Self:
        """Return the part below these keys."""
        found = self
        for name in names:
            key = _key(found.value, name)
            value = found.value.get(key) if isinstance(found.value, Mapping) else None
            found = type(self)(found.document, (*found.path, key), value)
        return found

    def __iter__(self) -> Iterator[Self]:
        """Yield the items of a list; of anything else, nothing."""
        if isinstance(self.value, list):
            for number, value in enumerate(self.value):
                yield type(self)(self.document, (*self.path, number), value)

    def members(self) -> Iterator[tuple[str, Self]]:
        """Yield the members of a mapping, names in snake_case; of anything else, nothing."""
        if isinstance(self.value, Mapping):
            for key, value in self.value.items():
                yield snake_case(str(key)), type(self)(self.document, (*self.path, str(key)), value)

    def embedded(self) -> Self:
        """Return the YAML that a text holds; None where it holds none."""
        if not isinstance(self.value, str):
            return type(self)(self.document, self.path, None)
        try:
            return type(self)(self.document, self.path, yaml.safe_load(self.value))
        except (yaml.YAMLError, ValueError, RecursionError):
            return type(self)(self.document, self.path, None)

    @property
    def is_there(self) -> bool:
        """Whether anything is."""
        return self.value is not None

    @property
    def is_true(self) -> bool:
        """Whether it is the boolean."""
        return self.value is True

    @property
    def text(self) -> str:
        """The text, or an empty one."""
        return self.value if isinstance(self.value, str) else ""

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts of a list."""
        return tuple(part.text for part in self if part.text)

    @property
    def number(self) -> int | None:
        """The number, also where it is written as a text."""
        if isinstance(self.value, str) and self.value.isascii() and self.value.isdecimal():
            return int(self.value[:20])
        return self.value if isinstance(self.value, int) and not isinstance(self.value, bool) else None

    @property
    def labels(self) -> dict[str, str]:
        """The mapping of texts to texts."""
        members = self.value.items() if isinstance(self.value, Mapping) else ()
        return {str(name): str(value) for name, value in members}

    @property
    def seconds(self) -> float | None:
        """The span of time, as Go writes it: ``250ms``, ``0.25s``."""
        if not _DURATION.fullmatch(self.text):
            return None
        return sum(float(amount) * _SECONDS[unit] for amount, unit in _SPAN.findall(self.text))

    def finding(self, rule: Rule, detail: str) -> Finding:
        """Return that a rule does not hold here."""
        return Finding(rule=rule, place=self.document.place(*self.path), detail=detail)


def snake_case(name: str) -> str:
    """Return a field's name as protobuf's own files write it."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: f"_{found[1].lower()}", name)


def _key(value: object, name: str) -> str:
    if isinstance(value, Mapping) and name not in value:
        return next((key for key in value if isinstance(key, str) and snake_case(key) == snake_case(name)), name)
    return name
