"""How does a file of a ring change?  Whole or not at all, by one process at a time.

- Written beside its place, flushed to the disk, then renamed: a reader sees the old content or the new.
- A process that was killed in between leaves a ``.new-…`` behind, readable by its owner alone; the next writer removes
  it.
- Where root writes, the file goes to the directory's owner: an operator's `sudo` must not lock the service out.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ott_extauthz.stores.keyring.place import KeyFileError, why

_UNFINISHED: Final = ".new-"
_TRY_AGAIN_SECONDS: Final = 0.02


class RingBusyError(KeyFileError):
    """Another process is changing the ring."""


def write(path: Path, content: bytes, *, mode: int, like: Path | None = None) -> None:
    """Replace ``path`` by a file of this content, for good; root gives it to the owner of ``like``, or the folder's."""
    descriptor, name = tempfile.mkstemp(prefix=_UNFINISHED, dir=path.parent)  # born with mode 0600
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if os.geteuid() == 0:
                owner = (like or path.parent).stat()
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def unfinished(directory: Path) -> list[Path]:
    """Return what writers that were killed left behind; of use only to who is alone in the directory."""
    return list(directory.glob(f"{_UNFINISHED}*"))


def sync(directory: Path) -> None:
    """Make renames and removals last: without it a power cut could forget the name of a synced file."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def alone_in(directory: Path, *, wait_seconds: float) -> Iterator[None]:
    """Hold the directory's lock, so that two writers cannot mix their files; the system frees it when we die.

    Raises:
        RingBusyError: somebody else held it all the while.
        KeyFileError: the block could not write.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _lock(descriptor, directory, wait_seconds)
            yield
        finally:
            os.close(descriptor)
    except OSError as error:
        problem = f"cannot be written: {why(error)}"
        raise KeyFileError(directory, problem, "let the service's user write it, or choose another") from None


def _lock(descriptor: int, directory: Path, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise RingBusyError(directory, "is being changed by another process", "try again") from None
        time.sleep(_TRY_AGAIN_SECONDS)
