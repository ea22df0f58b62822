"""A clock that can be moved from another process: the machine's own plus what stands in eight bytes of a file."""

import mmap
import struct
import time
from pathlib import Path
from typing import Final

_OFFSET: Final = struct.Struct("<q")


def set_offset(path: Path, milliseconds: int) -> None:
    """Move the clocks that look at ``path``; a file that is there is changed in place."""
    mode = "r+b" if path.exists() else "wb"
    with path.open(mode) as file:
        file.write(_OFFSET.pack(milliseconds))


def system_ms() -> int:
    return time.time_ns() // 1_000_000  # noqa: TID251 - clients and machines of the chaos suite live in real time


class MovableClock:
    """What a server with a wrong clock sees; deadlines stay right, as they do on such a machine."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._offset = mmap.mmap(file.fileno(), _OFFSET.size, access=mmap.ACCESS_READ)

    def now_ms(self) -> int:
        offset: int = _OFFSET.unpack_from(self._offset)[0]
        return system_ms() + offset

    def monotonic(self) -> float:
        return time.monotonic()
