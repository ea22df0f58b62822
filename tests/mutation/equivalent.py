"""Which mutants can no test tell from the code?  Each with the reason, in one line; read from ``equivalent.toml``."""

import tomllib
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_suffix(".toml")


def arguments() -> dict[tuple[str, str, str], str]:
    """Return the argument for each ``(module, line before, line after)``."""
    entries = tomllib.loads(FILE.read_text(encoding="utf-8")).get("equivalent", ())
    return {(entry["module"], entry["was"], entry["becomes"]): entry["because"] for entry in entries}
