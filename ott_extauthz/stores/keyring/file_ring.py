"""How does a running issuer go along with its ring?  It looks at the files, turns what is due, and signs meanwhile.

- Everything that touches the disk runs in a thread; signing uses what was loaded last.
- Several issuers share a ring: one of them takes a step, the others see the files change.
- What cannot be followed or turned is told, again and again; the keys in force stay.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from ott_extauthz.issuer.key_change import KeyChange, KeyListener, KeyState
from ott_extauthz.ports import Clock, Signer
from ott_extauthz.stores.keyring.changing import advance
from ott_extauthz.stores.keyring.files import RingBusyError
from ott_extauthz.stores.keyring.loading import LoadedRing, load_ring, stamp_of
from ott_extauthz.stores.keyring.place import KeyFileError, Place
from ott_extauthz.stores.keyring.ring_file import Keys, RingKey
from ott_extauthz.stores.keyring.schedule import Rotation, due_ms, turned, wants_next

LOOK_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 10.0


class FileRing:
    """A key ring in files (the port :class:`~ott_extauthz.ports.KeyRing`)."""

    def __init__(self, name: str, place: Place, *, rotation: Rotation, clock: Clock, listener: KeyListener) -> None:
        """Load the ring.

        Raises:
            KeyFileError: it cannot be signed with.
        """
        self._name = name
        self._place = place
        self._rotation = rotation
        self._clock = clock
        self._listener = listener
        self._loaded = load_ring(place)
        for change in changes(name, (), self._loaded.keys, rotation):
            listener.key_changed(replace(change, is_news=False))

    @property
    def keys(self) -> Keys:
        """What may be told of the keys."""
        return self._loaded.keys

    @property
    def signer(self) -> Signer:
        """The signer of the active key."""
        return self._loaded.signer

    @property
    def jwks(self) -> bytes:
        """Every key that is not retired."""
        return self._loaded.jwks

    async def run(self, *, look_seconds: float = LOOK_SECONDS, retry_seconds: float = RETRY_SECONDS) -> None:
        """Look until cancelled."""
        while True:
            is_well = await asyncio.to_thread(self.look)
            await asyncio.sleep(look_seconds if is_well else retry_seconds)

    def look(self) -> bool:
        """Follow what others wrote and take the steps that are due; False where that failed, which was told."""
        try:
            self._follow()
            if not self._place.is_read_only and self._has_work():
                advance(self._place, self._rotation, now_ms=self._clock.now_ms())
                self._take(load_ring(self._place, self._loaded.signers))
        except RingBusyError:
            return True  # another issuer, or an operator, is taking the step
        except KeyFileError as error:
            self._listener.ring_failed(self._name, str(error))
            return False
        return True

    def _follow(self) -> None:
        if stamp_of(self._place) != self._loaded.stamp:
            self._take(load_ring(self._place, self._loaded.signers))

    def _has_work(self) -> bool:
        keys, now_ms = self._loaded.keys, self._clock.now_ms()
        is_due = turned(keys, self._rotation, now_ms) != keys or wants_next(keys, self._rotation, now_ms)
        return is_due or not self._loaded.is_tidy

    def _take(self, loaded: LoadedRing) -> None:
        before, self._loaded = self._loaded.keys, loaded
        for change in changes(self._name, before, loaded.keys, self._rotation):
            self._listener.key_changed(change)


def changes(ring: str, before: Keys, after: Keys, rotation: Rotation) -> Iterator[KeyChange]:
    """Yield what became of each key between two looks; what was retired before the first is not told of."""
    states = {key.kid: key.state for key in before}
    now = {key.kid for key in after}
    forgotten = [key for key in before if key.kid not in now and key.state is not KeyState.RETIRED]
    for key in after:
        old = states.get(key.kid)
        if old is not key.state and not (old is None and key.state is KeyState.RETIRED):
            yield _change(ring, key, old, key.state, rotation)
    for key in forgotten:  # the ring was put back to an older one
        yield _change(ring, key, key.state, KeyState.RETIRED, rotation)


def _change(ring: str, key: RingKey, before: KeyState | None, after: KeyState, rotation: Rotation) -> KeyChange:
    due = due_ms(key, rotation) if after is KeyState.ACTIVE else None
    return KeyChange(ring=ring, kid=key.kid, before=before, after=after, made_ms=key.made_ms, rotation_due_ms=due)
