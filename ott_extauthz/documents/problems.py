"""What is wrong with a file, and where?"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake: the file, line and column (from 1; 0 where there is none), the field's path, and what is wrong."""

    source: str
    line: int
    column: int
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}:{self.column}" if self.line else self.source
        text = f"{place}: {self.field}: {self.message}" if self.field else f"{place}: {self.message}"
        # A key may hold a line's end or a terminal's escapes; a problem is one line, and only text.
        return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class DocumentError(Exception):
    """A file that cannot be used; carries every problem found, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))
