"""Where in a JSON document (RFC 6901)?  A pointer is read once; looking up follows it exactly, or finds nothing.

A member that has a twin in other letters (``amount`` beside ``Amount``) is not found: Go takes either for it, and
the last one counts.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

MOST_STEPS: Final = 16
MAX_CHARACTERS: Final = 256
_ESCAPES: Final = re.compile(r"~(?![01])")
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)


class Missing:
    """Nothing stands there; JSON's ``null`` is something."""


MISSING: Final = Missing()


@dataclass(frozen=True, slots=True)
class Pointer:
    """A JSON pointer's reference tokens; none of them is the whole document."""

    steps: tuple[str, ...]

    def found_in(self, value: Any) -> Any:  # noqa: ANN401 - JSON
        """Return the value it points at, or MISSING."""
        for step in self.steps:
            if isinstance(value, dict):
                value = MISSING if _has_a_twin(value, step) else value.get(step, MISSING)
            elif isinstance(value, list) and _INDEX.fullmatch(step) and int(step) < len(value):
                value = value[int(step)]
            else:
                return MISSING
        return value


def _has_a_twin(members: dict[str, Any], name: str) -> bool:
    folded = name.casefold()
    return any(other != name and other.casefold() == folded for other in members)


def pointer_from(text: object) -> Pointer:
    """Read a pointer.

    Raises:
        ValueError: what is wrong with it, in one line.
    """
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise ValueError("a JSON pointer starts with / (RFC 6901): /amount/value")
    steps = text[1:].split("/") if text else []
    if _ESCAPES.search(text):
        raise ValueError("in a JSON pointer ~ is written ~0 and / is written ~1")
    if len(steps) > MOST_STEPS or len(text) > MAX_CHARACTERS:
        raise ValueError(f"a JSON pointer has at most {MOST_STEPS} steps and {MAX_CHARACTERS} characters")
    return Pointer(tuple(step.replace("~1", "/").replace("~0", "~") for step in steps))
