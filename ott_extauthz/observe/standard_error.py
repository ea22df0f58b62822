"""How do log lines leave?  By a thread of their own: a standard error that nobody reads holds up no Check.

A write to a pipe that is full waits until somebody reads.  So whoever logs only puts the line into a queue; what finds
no room there is left out and counted, and the log says how many once it is read again.  The queue of
``logging.handlers`` is no help here: it waits without bound for its last lines, and so would leaving.
"""

import io
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from queue import SimpleQueue
from typing import Final

import structlog

from ott_extauthz.observe.log import AS_JSON

MOST_WAITING: Final = 4096
"""Lines; a change of a policy that is refused may tell a thousand problems at once."""

MOST_CHARACTERS: Final = 4 * 1024 * 1024
"""Of all that waits: a line quotes the path of a request, and that may be as long as Envoy takes headers."""

FLUSH_SECONDS: Final = 1.0
"""What the last lines may take of leaving: a log that nobody reads must not hold up a rollout."""

_TOLD: Final = structlog.wrap_logger(structlog.ReturnLogger(), processors=AS_JSON)


class StandardError(io.TextIOBase):
    """Takes text at once, from any thread, and writes it to ``descriptor`` when there is room.

    ``on_lost`` hears of each piece that is left out; ``lost`` is how many they are.
    """

    def __init__(self, descriptor: int, *, most: int = MOST_WAITING, most_characters: int = MOST_CHARACTERS) -> None:
        self.on_lost: Callable[[], None] = lambda: None
        self.lost = 0
        self._descriptor = descriptor
        self._most, self._most_characters = most, most_characters
        self._waiting: SimpleQueue[str | None] = SimpleQueue()
        # A finalizer that warns may run while this very thread counts: it must not wait for itself.
        self._counting = threading.RLock()
        self._characters = self._told = 0
        self._is_torn = False
        # A daemon that writes to the descriptor itself: one that hangs keeps no lock that the interpreter's end needs.
        self._thread = threading.Thread(target=self._run, name="standard-error", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Have a piece written; never waits.

        Raises:
            TypeError: it is no text; some find out by that what a stream takes.
        """
        if not isinstance(text, str):
            raise TypeError(type(text).__name__)
        if self._has_room(len(text)):
            self._waiting.put(text)
        else:
            self._lose()
        return len(text)

    def leave(self, seconds: float = FLUSH_SECONDS) -> None:
        """Have what waits written, within so many seconds."""
        self._waiting.put(None)
        self._thread.join(seconds)
        if not self._thread.is_alive():
            os.close(self._descriptor)

    def _has_room(self, characters: int) -> bool:
        with self._counting:
            has_room = self._waiting.qsize() < self._most and self._characters < self._most_characters
            if has_room:
                self._characters += characters
            return has_room

    def _run(self) -> None:
        while (text := self._waiting.get()) is not None:
            if self._written(text) and self.lost > self._told:
                self._tell(self.lost)
            with self._counting:
                self._characters -= len(text)

    def _tell(self, lost: int) -> None:
        line: str = _TOLD.warning("log lines left out", count=lost - self._told)
        if self._written(f"{line}\n"):
            self._told = lost

    def _written(self, text: str) -> bool:
        rest = memoryview(("\n" * self._is_torn + text).encode(errors="backslashreplace"))
        whole = len(rest)
        try:
            while rest:
                rest = rest[self._write(rest) :]
        except OSError:  # nobody is there to read any more, or the disk behind it is full
            self._is_torn = self._is_torn or len(rest) < whole
            self._lose()
            return False
        self._is_torn = False
        return True

    def _write(self, rest: memoryview) -> int:
        try:
            return os.write(self._descriptor, rest)
        except BlockingIOError:  # another process that has the same pipe wants no waiting; here is the place for it
            waiting = select.poll()
            waiting.register(self._descriptor, select.POLLOUT)
            waiting.poll()
            return 0

    def _lose(self) -> None:
        with self._counting:
            self.lost += 1
        self.on_lost()


@contextmanager
def unhindered() -> Iterator[StandardError | None]:
    """Have all that Python writes to standard error within this block leave by the thread.

    Yields None, and changes nothing, where standard error is no file of the system's.
    """
    stream = sys.stderr
    try:
        descriptor = os.dup(stream.fileno())
    except (AttributeError, OSError, ValueError):  # closed by whoever started us, or no file
        yield None
        return
    stream.flush()
    ours = StandardError(descriptor)
    try:
        with redirect_stderr(ours):
            yield ours
    finally:
        ours.leave()
