"""How do these files look now?  One ``stat`` each, and a digest of what is in them.

- What counts is where a path leads: a ConfigMap swaps the symlink ``..data``, an editor renames a new file into place.
- Only regular files are opened: a FIFO would never end, a device neither.
- A fault (gone, unreadable, a directory) is a look too; it is judged like any other content.
"""

import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ott_extauthz.reload.bounded import MOST_BYTES


@dataclass(frozen=True, slots=True)
class FileStat:
    """Where a path leads and what is there; ``fault`` says why nothing of use is."""

    path: Path
    resolved: str = ""
    device: int = 0
    inode: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    size: int = 0
    owner: int = 0
    mode: int = 0
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """All files at one moment.  ``is_ended``: each ends in a line break, which a file cut off rarely does."""

    stats: tuple[FileStat, ...]
    digest: bytes
    is_ended: bool

    @property
    def matter(self) -> tuple[bytes, tuple[tuple[int, int], ...]]:
        """What a judgement depends on: the content, and who may change it."""
        return self.digest, tuple((one.owner, one.mode) for one in self.stats)

    @property
    def faults(self) -> list[tuple[Path, str]]:
        """What cannot be read at all, and why."""
        return [(one.path, one.fault) for one in self.stats if one.fault is not None]


def stats_of(paths: Sequence[Path]) -> tuple[FileStat, ...]:
    """Look without opening anything."""
    return tuple(_stat(path) for path in paths)


def look_at(paths: Sequence[Path]) -> Look:
    """Look at what is in the files, too; never raises."""
    stats, digest, is_ended = list(stats_of(paths)), hashlib.sha256(), True
    for index, one in enumerate(stats):
        content = one.fault or _content(one.path)
        if isinstance(content, str):
            stats[index] = FileStat(one.path, fault=content)
            content = b"\0" + content.encode()
        elif not content.endswith(b"\n"):
            is_ended = False
        digest.update(b"%s\0%d\0" % (os.fsencode(one.path), len(content)))
        digest.update(content)
    return Look(tuple(stats), digest.digest(), is_ended)


def _stat(path: Path) -> FileStat:
    try:
        found, resolved = path.stat(), os.path.realpath(path)
    except OSError as error:
        return FileStat(path, fault=_why(error))
    if not stat.S_ISREG(found.st_mode):
        return FileStat(path, fault="not a regular file")
    if found.st_size > MOST_BYTES:
        return FileStat(path, fault=f"larger than {MOST_BYTES} bytes")
    return FileStat(
        path, resolved, found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size,
        found.st_uid, found.st_mode,
    )  # fmt: skip


def _content(path: Path) -> bytes | str:
    try:
        # Opened without waiting, and looked at again: what was a file a moment ago may be a FIFO by now.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return "not a regular file"
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        return _why(error)


def _why(error: OSError) -> str:
    return f"cannot be read: {os.strerror(error.errno) if error.errno else type(error).__name__}"
