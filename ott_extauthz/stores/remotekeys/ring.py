"""How do keys elsewhere become a key ring?  Looked at every so often, signed with from threads, and never fetched.

- What is in force is replaced as a whole, and only by a look whose active key has shown that it signs.
- A look that fails changes nothing: the keys in force stay, and are still published.
- A failure is a ``SigningError``, and told; no signature of another key, or of another form, is ever returned.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import msgspec

from ott_extauthz.authn.jwks import keys_from
from ott_extauthz.ports import Clock, Signer, SigningError
from ott_extauthz.stores.remotekeys.calls import BoundedCalls
from ott_extauthz.stores.remotekeys.keys import Look, RemoteKey, RemoteKeys, RingError, State
from ott_extauthz.stores.signing import public_jwk

PROBE: Final = b"ott-extauthz asks whether this key signs"
"""No signing input of a token: those have a dot, and no space."""


class RingListener(Protocol):
    """Listens to a ring that lives elsewhere."""

    def key_changed(self, kid: str, before: State | None, after: State | None, made_ms: int) -> None:
        """Take note of a key's new state; None is unknown before, published no more after."""
        ...

    def failed(self, problem: str) -> None:
        """Take note that a signature, or a look at the ring, failed.  Names no secret."""
        ...


@dataclass(frozen=True, slots=True)
class RemoteSigner:
    """Signs with one key elsewhere."""

    kid: str
    algorithm: str
    signatures: Callable[[Sequence[bytes]], Any]

    async def sign(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        """Ask the key's place, once for a whole batch where it can."""
        made: Sequence[bytes] = await self.signatures(messages)
        return made


@dataclass(frozen=True, slots=True)
class _InForce:
    look: Look
    jwks: bytes
    signer: Signer


class RemoteRing:
    """A key ring whose keys live elsewhere."""

    def __init__(
        self,
        keys: RemoteKeys,
        *,
        calls: BoundedCalls,
        clock: Clock,
        listener: RingListener,
        every: float | None,
    ) -> None:
        """Look for the first time, blocking; ``every`` is in seconds, None looks never again.

        Raises:
            RingError: there is no ring to be had, or its active key does not sign.
        """
        self._keys, self._calls = keys, calls
        self._clock, self._listener, self._every = clock, listener, every
        try:
            look = keys.look(clock.now_ms())
            self._prove(look.active)
        except SigningError as error:
            raise RingError(str(error)) from None
        self._in_force = self._taken(look, {})

    @property
    def signer(self) -> Signer:
        """The signer of the active key."""
        return self._in_force.signer

    @property
    def jwks(self) -> bytes:
        """The keys to publish."""
        return self._in_force.jwks

    @property
    def look(self) -> Look:
        """What is in force."""
        return self._in_force.look

    async def run(self) -> None:
        """Look every so often; a look that fails is told, and the next one comes."""
        while self._every is not None:
            await asyncio.sleep(self._every)
            await self.refresh()

    async def refresh(self) -> None:
        """Look now."""
        try:
            look = await self._calls.call(partial(self._keys.look, self._clock.now_ms()))
            if look == self.look:
                return
            if look.active != self.look.active:
                await self._calls.call(partial(self._prove, look.active))
            self._in_force = self._taken(look, {key.kid: state for key, state in self.look.published})
        except SigningError as error:
            self._listener.failed(str(error))

    def _taken(self, look: Look, before: dict[str, State]) -> _InForce:
        for key, state in look.published:
            if before.get(key.kid) != state:
                self._listener.key_changed(key.kid, before.get(key.kid), state, key.made_ms)
        for kid in before.keys() - {key.kid for key, _ in look.published}:
            self._listener.key_changed(kid, before[kid], None, 0)
        signer = RemoteSigner(look.active.kid, self._keys.algorithm, partial(self._signatures, look.active))
        return _InForce(look, self._published(key for key, _ in look.published), signer)

    def _published(self, keys: Any) -> bytes:  # noqa: ANN401 - an iterable of keys
        return msgspec.json.encode({"keys": [public_jwk(key.public, self._keys.algorithm) for key in keys]})

    def _prove(self, key: RemoteKey) -> None:
        """Have the key sign once, and believe its public half alone: a wrong padding shows here, not at a Check."""
        (signature,) = self._keys.sign(key, [PROBE])
        verifier = keys_from(self._published([key]))[key.kid]
        if not verifier.verifies(self._keys.algorithm, PROBE, signature):
            raise SigningError(f"what {key.reference} signs, its public key does not verify")

    async def _signatures(self, key: RemoteKey, messages: Sequence[bytes]) -> Sequence[bytes]:
        parts = _divided(messages, self._keys.calls_at_once)
        calls = [self._calls.call(partial(self._keys.sign, key, part)) for part in parts]
        try:
            made = await asyncio.gather(*calls)
        except SigningError as error:
            self._listener.failed(str(error))
            raise
        signatures = [signature for part in made for signature in part]
        if len(signatures) != len(messages):
            self._listener.failed("a signature is missing")
            raise SigningError("a signature is missing")
        return signatures


def _divided(messages: Sequence[bytes], most: int) -> list[Sequence[bytes]]:
    size = max(1, -(-len(messages) // most))
    return [messages[start : start + size] for start in range(0, len(messages), size)]
