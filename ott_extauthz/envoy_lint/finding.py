"""What did the linter find?  A rule that does not hold, where, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is; the words are SARIF's levels (SARIF 2.1.0 §3.27.10)."""

    ERROR = "error"
    """A request can pass that nobody checked, or a token can be used twice or leak."""
    WARNING = "warning"
    """Calls fail that should not, or a guard is missing that another still covers."""
    NOTE = "note"
    """Worth a look; right in some installations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that must hold: its name for ever, what is wrong where it does not, why it matters, how to mend it."""

    name: str
    severity: Severity
    title: str
    why: str
    mend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where: the document (a file's name, or a URL), the path inside it, and the line where the document has lines."""

    document: str
    path: tuple[str | int, ...]
    line: int | None = None

    @property
    def inside(self) -> str:
        """The path as people write it: ``static_resources.listeners[0]``."""
        return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path).lstrip(".")

    def __str__(self) -> str:
        """Return it as people write it: ``envoy.yaml:12 static_resources.listeners[0]``."""
        line = "" if self.line is None else f":{self.line}"
        return f"{self.document}{line} {self.inside}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that does not hold at a place; ``detail`` says what is there, and never quotes a secret."""

    rule: Rule
    place: Place
    detail: str
