"""What is in a file that an operator named?  All of it, or nothing: a device may have no end, and a wrong file much."""

import errno
import os
from pathlib import Path
from typing import BinaryIO, Final

MOST_BYTES: Final = 64 * 1024 * 1024
"""A policy of 10,000 routes has about 3 MiB."""


def bounded(path: Path) -> bytes:
    """Return what is in a file.

    Raises:
        OSError: it cannot be read, or has more than MOST_BYTES.
    """
    with path.open("rb") as file:
        return bounded_stream(file, str(path))


def bounded_stream(stream: BinaryIO, name: str) -> bytes:
    """Return all that a stream has to say.

    Raises:
        OSError: it cannot be read, or has more than MOST_BYTES.
    """
    raw = stream.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), name)
    return raw
