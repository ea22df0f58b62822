"""Which files does a SQLite connection have open, and do they still lie where others will look for them?

A database in WAL mode is three files, and ``rm`` or a restore takes them one by one.  Whoever goes on with a log that
was unlinked sees another database than whoever opens the next one; so each file is compared by its inode, which
cannot be given to another file while it is held open.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from ott_extauthz.stores.sqllist.errors import ReplacedError


@dataclass(frozen=True, slots=True)
class Files:
    """The inodes of the database, its log and its index of the log, while a connection has them open."""

    database: Path
    inodes: tuple[int, ...]

    @classmethod
    def opened(cls, database: Path, inode: int) -> "Files":
        """Take note of what was just opened, while no other worker may; ``inode`` lay there before.

        Raises:
            ReplacedError: one of them is gone already, or is another one.
        """
        inodes = _inodes(database)
        if inodes[0] != inode:
            raise ReplacedError("the file was replaced while it was opened")
        return cls(database, inodes)

    def check(self) -> None:
        """Make sure that they are still in place.

        Raises:
            ReplacedError: one of them was deleted or replaced.
        """
        if _inodes(self.database) != self.inodes:
            raise ReplacedError("the file, or its log, was replaced while it was in use")


def make_missing(database: Path) -> None:
    """Make an empty file that only its owner may read; SQLite would make it as readable as the umask lets it.

    One that is there is left alone: to open and close it would take this process's locks on it away (POSIX), also those
    of another connection.  SQLite would then let another process take itself for the last one, and delete the log.
    """
    try:
        os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return


def _inodes(database: Path) -> tuple[int, ...]:
    try:
        return tuple(os.stat(f"{database}{suffix}").st_ino for suffix in ("", "-wal", "-shm"))  # noqa: PTH116 - quick
    except FileNotFoundError:
        raise ReplacedError("the file, or its log, was deleted while it was in use") from None
