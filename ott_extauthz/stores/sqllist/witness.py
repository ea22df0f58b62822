"""Is this still the file that we wrote?  A second, small file beside a SQLite database vouches for it.

A database that was put back from an older copy looks whole: its fence comes back with it.  What cannot come back is
kept here, outside of it: the data set's identity, how many transactions wrote to it, and the stamp (inode, size, change
time) of the database file, which in WAL mode only a checkpoint of ours changes.

- The count is raised after each commit and *before* its answers, so no answered use can be lost unseen.
- Its lock is held by whoever touches the database, from before the transaction until after the count: what one process
  saw is still so when it answers.  A lock on a witness that is not (any more) the one beside the database is none.
- Nothing here is flushed to disk: what a crash of the machine could take away, the boot's id in the identity reports.
- The name begins with a dot, so that ``cp list.db* …`` does not take it along.
"""

import asyncio
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

WIDTH: Final = 256
PARTS: Final = 3
PATIENCE_SECONDS: Final = 0.001
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Return what changes when the machine starts anew; empty where the system does not say."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Mark:
    """What is kept outside of the database."""

    identity: str
    writes: int
    stamp: str


def stamp_of(database: Path) -> tuple[int, str]:
    """Return the inode of the database file, and its stamp."""
    found = os.stat(database)  # noqa: PTH116 - one system call, nothing else
    return found.st_ino, f"{found.st_dev}.{found.st_ino}.{found.st_size}.{found.st_ctime_ns}"


class OpenWitness:
    """The witness while it is locked; to be closed, which unlocks it."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path

    @property
    def is_in_place(self) -> bool:
        """Whether this is still the file that others would lock."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(self._path))  # noqa: PTH116 - as above
        except FileNotFoundError:
            return False

    def read(self) -> Mark | None:
        """Return what it says; None if it is empty or nonsense."""
        words = os.pread(self._descriptor, WIDTH, 0).decode("ascii", "replace").split()
        if len(words) != PARTS or not words[1].isdecimal():
            return None
        return Mark(words[0], int(words[1]), words[2])

    def write(self, mark: Mark) -> None:
        """Replace what it says, in one write."""
        os.pwrite(self._descriptor, f"{mark.identity} {mark.writes} {mark.stamp}\n".ljust(WIDTH).encode("ascii"), 0)

    def close(self) -> None:
        """Let others have it."""
        os.close(self._descriptor)


class Witness:
    """The small file beside the database."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(f".{database.name}.fence")

    async def taken(self) -> OpenWitness:
        """Have it alone among all processes; waits without holding up the event loop, as long as its caller may."""
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                while not _is_ours(descriptor):  # noqa: ASYNC110 - another process sets no Event of ours
                    await asyncio.sleep(PATIENCE_SECONDS)
                witness = OpenWitness(descriptor, self.path)
                if witness.is_in_place:
                    return witness
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)


def _is_ours(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
