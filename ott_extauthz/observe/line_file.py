"""How does a line get into a file and stay whole?  One ``write`` to a file opened for appending, without a buffer."""

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import msgspec

from ott_extauthz.observe.audit_file import FollowedFile, Rotation
from ott_extauthz.observe.standard_output import StandardOutput
from ott_extauthz.ports import AuditError

GROUP_MAY_READ: Final = 0o640
OURS_ALONE: Final = 0o600

_DELETE: Final = 0x7F
_encode = msgspec.json.Encoder().encode


class LineCounts(Protocol):
    """Counts lines, and shows how their file does."""

    def audit_written(self) -> None:
        """Count a line."""
        ...

    def audit_failed(self) -> None:
        """Count a line that is not there."""
        ...

    def audit_stays(self, *, is_stuck: bool) -> None:
        """Show whether lines go on into a file that should have been followed or turned."""
        ...


class Target(Protocol):
    """Where lines go."""

    is_torn: bool
    """Whether what was written last is no whole line."""

    def look(self) -> None:
        """Look after itself, on an operator's word."""
        ...

    def make_room(self, coming: int) -> None:
        """Look after itself before so many bytes are written."""
        ...

    def write(self, rest: memoryview) -> int:
        """Write what fits; raises OSError where nothing does."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class LineFile:
    """Appends JSON lines to one file, or to the standard output, from any thread."""

    def __init__(self, target: Target, *, counts: LineCounts) -> None:
        self._target = target
        self._counts = counts
        self._one_at_a_time = threading.Lock()

    @classmethod
    def at(
        cls,
        path: Path | Literal["-"],
        *,
        mode: int,
        counts: LineCounts,
        rotation: Rotation | None = None,
        tell: Callable[[str | None], None] = lambda _: None,
    ) -> "LineFile":
        """Return the lines of a file, made with this ``mode`` where there is none; ``-`` is the standard output.

        Raises:
            OSError: it cannot be opened.
        """
        if path == "-":
            return cls(StandardOutput(), counts=counts)

        def told(trouble: str | None) -> None:
            counts.audit_stays(is_stuck=trouble is not None)
            tell(trouble)

        return cls(FollowedFile(path, mode=mode, rotation=rotation, tell=told), counts=counts)

    def write(self, line: Mapping[str, Any], *, required: bool) -> None:
        """Write one line; one that cannot be written is counted.

        Raises:
            AuditError: the line is not in the file, and was ``required``.
        """
        try:
            with self._one_at_a_time:
                self._append(_encoded(line) + b"\n")
        except OSError as error:
            self._counts.audit_failed()
            if required:
                raise AuditError(error.strerror) from None
        else:
            self._counts.audit_written()

    def reopen(self) -> None:
        """Go on in the file of our name, where somebody moved the one that is open."""
        with self._one_at_a_time:
            self._target.look()

    def close(self) -> None:
        """Close the file; every line is in it already."""
        with self._one_at_a_time:
            self._target.close()

    def _append(self, line: bytes) -> None:
        target = self._target
        target.make_room(len(line))
        # After a half-written line (a full disk) the next one starts on a line of its own.
        rest = memoryview(b"\n" + line if target.is_torn else line)
        while rest:
            rest = rest[target.write(rest) :]
            target.is_torn = bool(rest)


def _encoded(line: Mapping[str, Any]) -> bytes:
    """Return a line in which nothing acts on a terminal: JSON escapes C0 alone, not C1, bidi or line separators."""
    raw = _encode(line)
    if raw.isascii() and _DELETE not in raw:
        return raw
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in raw.decode()).encode()
