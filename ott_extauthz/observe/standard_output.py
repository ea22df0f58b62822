"""How do lines get to whoever collects what a container prints?  Whole, or with an error; never by waiting for long."""

import os
import select
import sys
from typing import Final

PATIENCE_MS: Final = 50
"""How long a collector that reads may take; the one that stopped is not waited for again."""


class StandardOutput:
    """Lines for whoever collects what this process prints; a reader that stops reading fails lines, and holds up none.

    What is still free in a pipe nobody says, but that at least ``PIPE_BUF`` bytes are (poll(2), pipe(7)).
    """

    def __init__(self) -> None:
        """Take a descriptor of its own.

        Raises:
            OSError: there is no standard output.
        """
        if sys.stdout is None:  # closed by whoever started us: its number is another file's, a store's for one
            raise OSError(0, "there is no standard output", "audit.path")
        self._descriptor = os.dup(1)
        self.is_torn = False
        self._is_stuck = False

    def look(self) -> None:
        """Do nothing: there is no name to look for."""

    def make_room(self, coming: int) -> None:
        """Do nothing for ``coming`` bytes: whoever reads makes room."""

    def write(self, rest: memoryview) -> int:
        """Write a piece.

        Raises:
            OSError: nobody takes it.
        """
        waiting = select.poll()
        waiting.register(self._descriptor, select.POLLOUT)
        self._is_stuck = not waiting.poll(0 if self._is_stuck else PATIENCE_MS)
        if self._is_stuck:
            raise OSError(0, "nobody reads the standard output")
        return os.write(self._descriptor, rest[: select.PIPE_BUF])

    def close(self) -> None:
        """Let go of it; what comes now must not reach a file that has its number by then."""
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)
