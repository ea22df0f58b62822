"""How does a ring change?  Every step in one order, so that a kill between any two writes leaves a ring to go on with.

  1. the private key of a new key
  2. the JWK Set with the new key in it: known to verifiers before the ring lets anyone sign with it
  3. ``ring.json``: from here on the step is taken, and whoever comes next completes it
  4. the JWK Set without keys that are retired, then their private keys deleted, and what killed writers left

A writer is alone, reads the ring only then, and first completes what another left half done.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from ott_extauthz.issuer.key_change import KeyState
from ott_extauthz.reload.bounded import bounded
from ott_extauthz.stores.keyring.files import alone_in, sync, unfinished, write
from ott_extauthz.stores.keyring.key_set import Jwk, key_set_json, public_keys
from ott_extauthz.stores.keyring.place import KeyFileError, Place, why
from ott_extauthz.stores.keyring.private_keys import passphrase_of, private_pem, read_signer
from ott_extauthz.stores.keyring.ring_file import Keys, RingKey, instant, keys_in, ring_json
from ott_extauthz.stores.keyring.schedule import (
    Rotation,
    activated,
    active_of,
    next_of,
    published,
    retired,
    turned,
    wants_next,
)  # fmt: skip
from ott_extauthz.stores.signing import SigningAlgorithm, new_key, public_jwk

OPERATOR_WAITS_SECONDS: Final = 10.0
_OTHERS_WRITE: Final = 0o022
_SECRET: Final = 0o600
_PUBLIC: Final = 0o644


def init_ring(place: Place, *, algorithm: SigningAlgorithm = "EdDSA", now_ms: int) -> RingKey:
    """Make a key directory with one active key.

    Raises:
        KeyFileError: there is a ring already, others may write into the directory, or the disk refuses.
    """
    place.check_writable()
    try:
        place.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = place.directory.stat().st_mode
    except OSError as error:
        raise KeyFileError(place.directory, f"cannot be written: {why(error)}", "choose another directory") from None
    if mode & _OTHERS_WRITE:
        raise KeyFileError(place.directory, "others may write into it", f"chmod 700 {place.directory}")
    with alone_in(place.directory, wait_seconds=OPERATOR_WAITS_SECONDS):
        if os.path.lexists(place.ring):
            raise KeyFileError(place.ring, "exists already", "choose another directory")
        made = _made(place, algorithm, KeyState.ACTIVE, now_ms)
        entry = replace(made.entry, since=None)
        _commit(place, (), (entry,), {entry.kid: made.jwk})
        return entry


def advance(place: Place, rotation: Rotation, *, now_ms: int, wait_seconds: float = 0.0) -> Keys:
    """Take every step that is due, and publish the next key where the schedule asks for it; returns the ring.

    Raises:
        KeyFileError: the ring cannot be read or written; RingBusyError where another process is changing it.
    """
    with _changing(place, wait_seconds) as change:
        change.to(turned(change.keys, rotation, now_ms))
        if wants_next(change.keys, rotation, now_ms):
            change.publish(active_of(change.keys).alg, now_ms)
        return change.keys


def rotate(
    place: Place, rotation: Rotation, *, at_once: bool, algorithm: SigningAlgorithm | None = None, now_ms: int
) -> Keys:
    """Go on with a rotation where a step is due, else begin one: publish a next key if there is none.

    ``at_once`` activates it now, whether verifiers know it or not.  Returns the ring.

    Raises:
        KeyFileError: the ring cannot be read or written.
    """
    with _changing(place, OPERATOR_WAITS_SECONDS) as change:
        before = change.keys
        change.to(turned(before, rotation, now_ms))
        is_replaced = active_of(change.keys).kid != active_of(before).kid
        if change.keys == before or (at_once and not is_replaced):
            if next_of(change.keys) is None:
                change.publish(algorithm or active_of(change.keys).alg, now_ms)
            if at_once:
                change.activate_next(now_ms)
        return change.keys


def retire(place: Place, kid: str, *, now_ms: int) -> Keys:
    """Take a key out at once: out of the JWK Set, its private key deleted, whatever it signed refused from then on.

    The active key is replaced first, by the next key or a new one.  Returns the ring.

    Raises:
        KeyFileError: no such key, or the ring cannot be read or written.
    """
    with _changing(place, OPERATOR_WAITS_SECONDS) as change:
        states = {key.kid: key.state for key in change.keys}
        if states.get(kid, KeyState.RETIRED) is KeyState.RETIRED:
            problem = "retired already" if kid in states else "no key of the ring"
            raise KeyFileError(place.ring, f"{kid} is {problem}", "see `ott-extauthz keys list`")
        if states[kid] is KeyState.ACTIVE:
            following = next_of(change.keys)
            if following is None:
                following = change.publish(active_of(change.keys).alg, now_ms)
            change.to(retired(activated(change.keys, following.kid, now_ms), kid, now_ms))
        else:
            change.to(retired(change.keys, kid, now_ms))
        return change.keys


@dataclass(slots=True)
class _Change:
    """A ring under its writer's hands: what is on the disk after each step taken."""

    place: Place
    keys: Keys
    public: dict[str, Jwk] = field(repr=False)

    def to(self, keys: Keys) -> None:
        """Put ``keys`` in force; a key is activated only if it can sign."""
        if keys == self.keys:
            return
        active = active_of(keys)
        if active.kid != active_of(self.keys).kid:
            read_signer(self.place, active)
        _commit(self.place, self.keys, keys, self.public)
        self.keys = keys

    def publish(self, algorithm: SigningAlgorithm, now_ms: int) -> RingKey:
        """Make a next key."""
        made = _made(self.place, algorithm, KeyState.NEXT, now_ms)
        self.public[made.entry.kid] = made.jwk
        self.to((*self.keys, made.entry))
        return made.entry

    def activate_next(self, now_ms: int) -> None:
        """Have the next key sign, due or not."""
        following = next_of(self.keys)
        if following is not None:
            self.to(activated(self.keys, following.kid, now_ms))


@dataclass(frozen=True, slots=True)
class _Made:
    entry: RingKey
    jwk: Jwk


@contextmanager
def _changing(place: Place, wait_seconds: float) -> Iterator[_Change]:
    place.check_writable()
    keys_in(place)  # a directory without a ring is told as such
    with alone_in(place.directory, wait_seconds=wait_seconds):
        keys = keys_in(place)
        public = public_keys(place, keys)
        _tidy(place, keys, public)
        yield _Change(place, keys, public)


def _made(place: Place, algorithm: SigningAlgorithm, state: KeyState, now_ms: int) -> _Made:
    """Make a key; its private half is on the disk before anything refers to it."""
    key = new_key(algorithm)
    jwk = public_jwk(key.public_key(), algorithm)
    write(place.private(jwk["kid"]), private_pem(key, passphrase_of(place)), mode=_SECRET)
    created, since = instant(now_ms // 1000 * 1000), instant(now_ms)
    return _Made(RingKey(jwk["kid"], algorithm, state, created, since), jwk)


def _commit(place: Place, before: Keys, after: Keys, public: Mapping[str, Jwk]) -> None:
    """Steps 2 to 4 of the module's order."""
    known = {key.kid for key in before}
    new = tuple(key for key in after if key.kid not in known)
    if new:
        write(place.jwks, key_set_json((*before, *new), public), mode=_PUBLIC)
    write(place.ring, ring_json(after), mode=_PUBLIC)
    _tidy(place, after, public)


def _tidy(place: Place, keys: Keys, public: Mapping[str, Jwk]) -> None:
    """Step 4, here and for whoever was killed before it."""
    jwks = key_set_json(keys, public)
    if bounded(place.jwks) != jwks:
        write(place.jwks, jwks, mode=_PUBLIC)
    gone = place.private_kids() - {key.kid for key in published(keys)}
    leftovers = [*map(place.private, gone), *unfinished(place.directory)]
    for path in leftovers:
        path.unlink()
    if leftovers:
        sync(place.directory)
