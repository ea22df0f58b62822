"""Which keys does an issuer have right now?  A mapping like that of a key file, which somebody else keeps up to date.

A look-up never waits: a ``kid`` that is not there is asked for, and whoever may wait is told for how long that is worth
it.  A planned rotation publishes its key before it signs with it, so that nobody sees this.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from ott_extauthz.authn.keys import VerificationKey

Arrival = Callable[[float], Awaitable[object]]
"""Waits for a fetch to end, but no longer than these seconds, and raises nothing but what cancels it."""

_NONE: Final[Mapping[str, VerificationKey]] = MappingProxyType({})


class FollowedKeys(Mapping[str, VerificationKey]):
    """Keys by ``kid``; empty while there are none to believe, so that the lack shows as one of ours."""

    def __init__(
        self,
        *,
        is_believed: Callable[[], bool],
        on_unknown: Callable[[], None],
        arrival: Callable[[], Arrival | None] = lambda: None,
    ) -> None:
        """``is_believed`` is asked at each look-up; ``on_unknown`` is told of a ``kid`` that is not there.

        ``arrival``, asked after that, is how to wait for the fetch that may bring it; None: it is not worth it.
        """
        self.arrival = arrival
        self._keys = _NONE
        self._is_believed = is_believed
        self._on_unknown = on_unknown

    def put(self, keys: Mapping[str, VerificationKey]) -> None:
        """Replace all keys at once."""
        self._keys = keys

    def __getitem__(self, kid: str) -> VerificationKey:
        key = self._in_force().get(kid)
        if key is None:
            self._on_unknown()
            raise KeyError(kid)
        return key

    def __iter__(self) -> Iterator[str]:
        return iter(self._in_force())

    def __len__(self) -> int:
        return len(self._in_force())

    def _in_force(self) -> Mapping[str, VerificationKey]:
        return self._keys if self._is_believed() else _NONE
