"""What does an engine get to see?  The files that .dockerignore lets through; the last pattern that matches decides."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath


def patterns_from(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def is_let_in(path: PurePosixPath, patterns: Iterable[str]) -> bool:
    is_excluded = False
    for pattern in patterns:
        if _matches(pattern.removeprefix("!"), path):
            is_excluded = not pattern.startswith("!")
    return not is_excluded


def let_in(root: Path) -> Iterator[PurePosixPath]:
    """Yield what is let in of a folder's files; what no pattern could bring back is not even looked at."""
    patterns = patterns_from((root / ".dockerignore").read_text())
    tops = {pattern[1:].split("/")[0] for pattern in patterns if pattern.startswith("!")}
    for top in sorted(tops):
        for path in [root / top, *(root / top).rglob("*")]:
            relative = PurePosixPath(path.relative_to(root).as_posix())
            if path.is_file() and is_let_in(relative, patterns):
                yield relative


def _matches(pattern: str, path: PurePosixPath) -> bool:
    """Whether the pattern is for the path or for a folder that it is in."""
    expression = "".join(
        {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part))
        for part in re.split(r"(\*\*/|\*\*|\*|\?)", pattern.strip("/"))
    )
    return any(re.fullmatch(expression, str(one)) for one in (path, *path.parents) if str(one) != ".")
