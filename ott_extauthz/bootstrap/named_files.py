"""Which further files does this file name now?  They are followed with it."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.reload.bounded import bounded


class NamedFiles:
    """The files that ``path`` names now; none while it cannot be read, for then nothing of them counts."""

    def __init__(self, path: Path, named: Callable[[Path, str], Iterable[Path]]) -> None:
        """``named`` takes path and text; it raises DocumentError for a text that is none of its kind."""
        self._path, self._named = path, named
        self._digest, self._found = b"", list[Path]()

    def all(self) -> list[Path]:
        """Return the file itself, and those that it names."""
        return [self._path, *self.now()]

    def now(self) -> list[Path]:
        """Return them; parsed only where the content is another than at the last call."""
        try:
            raw = bounded(self._path)
        except OSError:
            raw = b""
        digest = hashlib.sha256(raw).digest()
        if digest != self._digest:
            self._digest, self._found = digest, self._in(raw)
        return self._found

    def _in(self, raw: bytes) -> list[Path]:
        try:
            return list(self._named(self._path, raw.decode()))
        except (DocumentError, UnicodeDecodeError):
            return []
