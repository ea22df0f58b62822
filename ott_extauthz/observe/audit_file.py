"""Which file do lines go to now?  The one of that name: followed when somebody moves it, turned when it is full.

Nothing here loses a line or writes one twice: until another file is open, the one that is open is written to, whatever
its name is by then.  Only whoever cannot write at all has failed, and that the writer of lines notices by itself.
"""

import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LOOK_SECONDS: Final = 1.0
_APPEND: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
# What was put in our file's place must not lead elsewhere (a link), nor hold us up (a pipe that nobody reads).
_ONLY_A_FILE: Final = os.O_NOFOLLOW | os.O_NONBLOCK
_NO_FILE: Final = "no regular file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """A file of more than ``size`` bytes becomes ``name.1``; ``keep`` of these stay."""

    size: int
    keep: int


class FollowedFile:
    """The file of one name; ``tell`` hears why it could not be opened or turned, and None once it could."""

    def __init__(
        self,
        path: Path,
        *,
        mode: int,
        rotation: Rotation | None = None,
        tell: Callable[[str | None], None] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the file, and make it, with this ``mode``, where there is none.

        Raises:
            OSError: it cannot be opened, or it shall be turned and is no file.
        """
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        self._descriptor = os.open(path, _APPEND, mode)
        held = os.fstat(self._descriptor)
        # A link is an operator's, and what it leads to is the file; a device has nothing that could be moved.
        self._path = path.resolve() if path.is_symlink() else path
        self._is_pinned = not _is_file(held)
        if rotation is not None and self._is_pinned:
            os.close(self._descriptor)
            raise OSError(0, _NO_FILE, str(path))
        self._mode = mode
        self._rotation = rotation
        self._tell = tell
        self._monotonic = monotonic
        self._size = held.st_size
        self._trouble: str | None = None
        self._next_look = monotonic() + LOOK_SECONDS
        self.is_torn = _ends_within_a_line(path, held)

    def look(self) -> None:
        """Take the file of our name, where it is not the one that is open; at once, on an operator's word."""
        self._attempt(self._follow)

    def make_room(self, coming: int) -> None:
        """Look after the file before so many bytes are written to it."""
        if self._monotonic() >= self._next_look:
            self._attempt(lambda: self._tidy(coming))
        elif self._trouble is None and self._is_full(coming):
            self._attempt(self._turn)

    def write(self, rest: memoryview) -> int:
        """Write what fits.

        Raises:
            OSError: nothing does.
        """
        written = os.write(self._descriptor, rest)
        self._size += written
        return written

    def close(self) -> None:
        """Close the file; what comes now must not reach a file that has its number by then."""
        descriptor, self._descriptor, self._is_pinned = self._descriptor, -1, True
        os.close(descriptor)

    def _is_full(self, coming: int) -> bool:
        return self._rotation is not None and self._size > 0 and self._size + coming > self._rotation.size

    def _attempt(self, change: Callable[[], None]) -> None:
        """Change files; where that fails the one that is open stays, and the next look tries again."""
        if self._is_pinned:
            return
        self._next_look = self._monotonic() + LOOK_SECONDS
        try:
            change()
            trouble = None
        except OSError as error:
            trouble = error.strerror or type(error).__name__
        if trouble != self._trouble:
            self._trouble = trouble
            self._tell(trouble)

    def _tidy(self, coming: int) -> None:
        self._follow()
        if self._is_full(coming):
            self._turn()

    def _follow(self) -> None:
        if not self._is_ours():
            self._open()

    def _turn(self) -> None:
        """Move the full file aside and begin another; one that somebody else moved is full no longer."""
        rotation = self._rotation
        if rotation is not None and self._is_ours():
            _shift(self._path, rotation.keep)
        self._open()

    def _is_ours(self) -> bool:
        """Whether our name still is the open file's, whose size another may have changed (``copytruncate``)."""
        try:
            named = self._path.lstat()
        except FileNotFoundError:
            return False
        held = os.fstat(self._descriptor)
        self._size = held.st_size
        return os.path.samestat(named, held)

    def _open(self) -> None:
        fresh = os.open(self._path, _APPEND | _ONLY_A_FILE, self._mode)
        named = os.fstat(fresh)
        if not _is_file(named):
            os.close(fresh)
            raise OSError(0, _NO_FILE)
        # In place of the old descriptor: there is no moment without one.
        old, self._descriptor = self._descriptor, fresh
        os.close(old)
        self._size = named.st_size
        self.is_torn = _ends_within_a_line(self._path, named)


def _is_file(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode)


def _ends_within_a_line(path: Path, found: os.stat_result) -> bool:
    """Whether whoever wrote last could not finish a line: ours must not be glued to it."""
    if not _is_file(found) or not found.st_size:
        return False
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:  # we may write and not read, or it is another file by now
        return False


def _shift(path: Path, keep: int) -> None:
    """Rename ``name`` to ``.1``, ``.1`` to ``.2`` and so on up to where there is none; only ``.keep`` is replaced."""
    names = [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, keep + 1))]
    free = next((place for place, name in enumerate(names) if not os.path.lexists(name)), keep)
    for place in range(free, 0, -1):
        names[place - 1].replace(names[place])
