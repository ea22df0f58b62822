"""How does a line get into a file and stay whole?  One ``write`` to a file opened for appending, without a buffer."""

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from ott_extauthz.ports import AuditError

GROUP_MAY_READ: Final = 0o640
OURS_ALONE: Final = 0o600

_encode = msgspec.json.Encoder().encode


class LineCounts(Protocol):
    """Counts lines."""

    def audit_written(self) -> None:
        """Count a line."""
        ...

    def audit_failed(self) -> None:
        """Count a line that is not there."""
        ...


class LineFile:
    """Appends JSON lines to one file, from any thread."""

    def __init__(self, path: Path, *, mode: int, counts: LineCounts) -> None:
        """Open the file, and make it, with this ``mode``, where there is none.

        Raises:
            OSError: it cannot be opened.
        """
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, mode)
        self._counts = counts
        self._is_torn = False
        self._one_at_a_time = threading.Lock()

    def write(self, line: Mapping[str, Any], *, required: bool) -> None:
        """Write one line; one that cannot be written is counted.

        Raises:
            AuditError: the line is not in the file, and was ``required``.
        """
        try:
            with self._one_at_a_time:
                self._append(_encode(line) + b"\n")
        except OSError as error:
            self._counts.audit_failed()
            if required:
                raise AuditError(error.strerror) from None
        else:
            self._counts.audit_written()

    def close(self) -> None:
        """Close the file; every line is in it already."""
        os.close(self._file)

    def _append(self, line: bytes) -> None:
        # After a half-written line (a full disk) the next one starts on a line of its own.
        rest = memoryview(b"\n" + line if self._is_torn else line)
        self._is_torn = True
        while rest:
            rest = rest[os.write(self._file, rest) :]
        self._is_torn = False


def file_name(address: str) -> str:
    """Return an address as a file name: each process appends to a file of its own."""
    stem = Path(address.removeprefix("unix://")).stem if address.startswith("unix://") else address
    return "".join(character if character.isalnum() or character in ".-" else "-" for character in stem)
