"""Did a file change?  Certificates rotate under a running server; a look costs one ``stat`` a file."""

from collections.abc import Sequence
from pathlib import Path


class ChangingFiles:
    """Remembers how some files looked at the last look."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        self._seen: tuple[tuple[int, int, int] | None, ...] = self._look()

    def have_changed(self) -> bool:
        """Whether any file is another than at the last look; symlink swaps (ConfigMaps, Secrets) count."""
        now = self._look()
        changed = now != self._seen
        self._seen = now
        return changed

    def forget(self) -> None:
        """Make the next look find a change, for a reader that could not use what it found."""
        self._seen = ()

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_signature(path) for path in self._paths)


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
