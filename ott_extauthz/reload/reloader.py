"""Who looks?  One thread for all sources, so that no reload runs beside another and none blocks a Check.

Reading and compiling a big policy takes seconds; in a thread it takes turns with the event loop.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from ott_extauthz.reload.manners import leaving_room
from ott_extauthz.reload.source import Source

TRIES: Final = 20
TRY_AGAIN_SECONDS: Final = 0.1


class Reloader:
    """Looks at sources every so often, and when asked; questions that come while it is busy are one more look."""

    def __init__(self, sources: Sequence[Source[Any]], *, every: float | None, on_fault: Callable[[str], None]) -> None:
        """``every`` is in seconds; None looks only when asked."""
        self._sources = tuple(sources)
        self._every = every
        self._on_fault = on_fault
        self._wake = threading.Event()
        self._is_asked = False
        self._stopped = threading.Event()
        # A daemon: a file system that hangs must not keep the server from leaving.
        self._thread = threading.Thread(target=self._run, name="reload", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def ask(self) -> None:
        """Have everything looked at now, settled or not."""
        self._is_asked = True
        self._wake.set()

    def stop(self) -> None:
        """Look no more; a load under way is left behind."""
        self._stopped.set()
        self._wake.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.wait(self._every)
            self._wake.clear()
            is_asked = self._is_asked
            if is_asked:  # written only then: a question that comes right now must not be taken back unheard
                self._is_asked = False
            for source in self._sources:
                if not self._stopped.is_set():
                    self._look(source, is_asked=is_asked)

    def _look(self, source: Source[Any], *, is_asked: bool) -> None:
        try:
            with leaving_room():
                if is_asked:
                    self._reload(source)
                else:
                    source.poll()
        except Exception as error:  # noqa: BLE001 - the next look must come, whatever broke this one
            self._on_fault(type(error).__name__)

    def _reload(self, source: Source[Any]) -> None:
        for _ in range(TRIES):
            if source.reload() or self._stopped.wait(TRY_AGAIN_SECONDS):
                return
        self._on_fault("FileKeepsChanging")
