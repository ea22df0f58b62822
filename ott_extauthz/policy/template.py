"""Which paths does a route mean?  A path template, read once, with every mistake told in its author's words.

- ``/v1/wallets/{wallet}/debit``: a parameter is a whole segment and never an empty one
- ``/files/{path**}``: the last parameter may take one segment or more, with or without a trailing slash
- ``*``: the target of ``OPTIONS *`` (RFC 9110 §9.3.7), no path at all

A literal stands in the one spelling that no server reads in two ways; else a rule could be right and never match.
"""

import re
from dataclasses import dataclass
from typing import Final

from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.target import CanonicalTarget, canonical_target, other_readings

ASTERISK: Final = "*"
_PARAMETER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(\*\*)?\}")


@dataclass(frozen=True, slots=True)
class Template:
    """A path template.  In ``segments`` None stands for a parameter; ``takes_rest`` for a final ``{rest**}``."""

    text: str
    segments: tuple[str | None, ...]
    takes_rest: bool = False
    ends_in_slash: bool = False

    @property
    def shape(self) -> tuple[tuple[str | None, ...], bool]:
        """What two templates must not share: parameter names and a trailing slash do not tell paths apart."""
        return self.segments, self.takes_rest


def template_from(text: str) -> Template:
    """Read a template.

    Raises:
        ValueError: what is wrong with it, in one line.
    """
    if text == ASTERISK:
        return Template(text, ())
    if not text.startswith("/"):
        raise ValueError("a path template starts with / (or is * for OPTIONS)")
    if "//" in text:
        raise ValueError("a path has no empty segments")
    parts = text[1:].split("/")
    ends_in_slash = len(parts) > 1 and not parts[-1]
    if ends_in_slash:
        parts.pop()
    names = [found[1] for found in map(_PARAMETER.fullmatch, parts) if found]
    if len(set(names)) != len(names):
        raise ValueError("a parameter's name stands twice")
    takes_rest = _takes_rest(parts, ends_in_slash=ends_in_slash)
    return Template(text, tuple(map(_segment, parts[:-1] if takes_rest else parts)), takes_rest, ends_in_slash)


def parameters_of(template: Template) -> dict[str, int]:
    """Return the name and the place, from 0, of each parameter that takes one segment."""
    parts = template.text[1:].split("/")
    found = {index: _PARAMETER.fullmatch(part) for index, part in enumerate(parts)}
    return {parameter[1]: index for index, parameter in found.items() if parameter and not parameter[2]}


def _takes_rest(parts: list[str], *, ends_in_slash: bool) -> bool:
    at = [index for index, part in enumerate(parts) if (found := _PARAMETER.fullmatch(part)) and found[2]]
    if at and (at != [len(parts) - 1] or ends_in_slash):
        raise ValueError("{name**} takes the rest of the path, so nothing may follow it")
    return bool(at)


def _segment(part: str) -> str | None:
    if _PARAMETER.fullmatch(part):
        return None
    if "{" in part or "}" in part:
        raise ValueError(f"{part!r}: a parameter is a whole segment, {{name}} or {{name**}} (letters, digits, _)")
    if ";" in part:
        raise ValueError(f"{part!r}: many servers drop what follows ';', so no route can tell such paths apart")
    target = canonical_target("GET", "https", "template", f"/{part}")
    if isinstance(target, Rejection):
        raise ValueError(f"{part!r} is not a segment that a request may have ({target.reason})")  # noqa: TRY004 - a bad value
    return _in_one_spelling(part, target)


def _in_one_spelling(part: str, target: CanonicalTarget) -> str:
    for path in (target.segments, *other_readings(target)):
        if path != (part,):
            raise ValueError(f"{part!r} may also be read as {path[0]!r}; write the shortest spelling")
    return part
