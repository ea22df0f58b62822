"""What do some files hold now?  Read anew when they change; what cannot be read changes nothing."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from ott_extauthz.wire.files import ChangingFiles

T = TypeVar("T")


class FilesInUse(Generic[T]):
    """The last good content of files that rotate; a look costs one ``stat`` a file."""

    def __init__(self, paths: Sequence[Path], read: Callable[[], T]) -> None:
        """Read them.

        Raises:
            Exception: whatever ``read`` raises, at the start only.
        """
        self._changes = ChangingFiles(paths)
        self._read = read
        self._value = read()

    def current(self) -> T:
        """Return the content; in the middle of a rotation, the last good one."""
        if self._changes.have_changed():
            try:
                self._value = self._read()
            except (OSError, ValueError):
                self._changes.forget()
        return self._value
