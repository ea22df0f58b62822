"""Which calls are traced?  No client decides that by itself, and none can have us trace everything.

A random part of all calls, and those of which Envoy says that they are traced, so many in a second and no more.
"""

from collections.abc import Callable
from typing import Final

from ott_extauthz.model.traced import Traced
from ott_extauthz.observe.allowance import Allowance
from ott_extauthz.sections.tracing import Tracing

_DIGITS: Final = 16
_ALL: Final = 16**_DIGITS


class Sampling:
    """Decides by the settings."""

    def __init__(self, settings: Tracing, monotonic: Callable[[], float]) -> None:
        """``monotonic`` is a clock in seconds that never jumps."""
        self._parent = settings.parent
        self._followed = Allowance(settings.followed_per_second, monotonic)
        self._below = round(settings.ratio * _ALL)

    def takes(self, traced: Traced | None, decision_id: str) -> bool:
        """Whether this call is traced; the dice are our own id's random digits, for a client chooses its trace id."""
        if self._is_followed(traced) and self._followed.takes():
            return True
        return int(decision_id[:_DIGITS], 16) < self._below

    def _is_followed(self, traced: Traced | None) -> bool:
        if traced is None or not traced.context.is_sampled or self._parent == "ignore":
            return False
        return traced.by_envoy or self._parent == "request"
