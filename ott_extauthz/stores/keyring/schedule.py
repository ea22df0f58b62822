"""Which key comes into which state, and when?  Rings in, rings out; nothing is written here.

- A key is published as ``next`` for a while before it signs, so that every verifier knows it by then.
- Whoever was active is ``retiring`` until the last token it may have signed has died, plus every verifier's leeway.
- Each step follows from the ring and the time alone: whoever takes it, however often, comes to the same ring.
"""

from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from ott_extauthz.issuer.key_change import KeyState
from ott_extauthz.stores.keyring.ring_file import Keys, RingKey, instant

REMEMBERED_RETIRED: Final = 20
"""So many retired keys stay listed, without any key material."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """How long keys stay in their states; ``every_ms`` 0 makes no new key by itself."""

    every_ms: int = 0
    publish_before_ms: int = 600_000
    retire_after_ms: int = 420_000


def active_of(keys: Keys) -> RingKey:
    """Return the key that signs."""
    return next(key for key in keys if key.state is KeyState.ACTIVE)


def next_of(keys: Keys) -> RingKey | None:
    """Return the key that will sign next, if one is published."""
    return next((key for key in keys if key.state is KeyState.NEXT), None)


def published(keys: Keys) -> Keys:
    """Return the keys that verifiers shall know."""
    return tuple(key for key in keys if key.state is not KeyState.RETIRED)


def due_ms(key: RingKey, rotation: Rotation) -> int | None:
    """Return when the key leaves its state by itself; None where it does not."""
    match key.state:
        case KeyState.NEXT:
            return key.since_ms + rotation.publish_before_ms
        case KeyState.ACTIVE:
            return key.since_ms + rotation.every_ms if rotation.every_ms else None
        case KeyState.RETIRING:
            return key.since_ms + rotation.retire_after_ms
        case KeyState.RETIRED:
            return None


def wants_next(keys: Keys, rotation: Rotation, now_ms: int) -> bool:
    """Whether the schedule asks for a next key, early enough to be published before it is needed."""
    due = due_ms(active_of(keys), rotation)
    return due is not None and next_of(keys) is None and now_ms >= due - rotation.publish_before_ms


def turned(keys: Keys, rotation: Rotation, now_ms: int) -> Keys:
    """Return the ring with every step taken whose time has come."""
    following = next_of(keys)
    if following is not None and _is_due(following, rotation, now_ms):
        keys = activated(keys, following.kid, now_ms)
    for key in keys:
        if key.state is KeyState.RETIRING and _is_due(key, rotation, now_ms):
            keys = retired(keys, key.kid, now_ms)
    return keys


def activated(keys: Keys, kid: str, now_ms: int) -> Keys:
    """Return the ring with ``kid`` signing, and what signed before retiring."""
    keys = _moved(keys, active_of(keys).kid, KeyState.RETIRING, now_ms)
    return _moved(keys, kid, KeyState.ACTIVE, now_ms)


def retired(keys: Keys, kid: str, now_ms: int) -> Keys:
    """Return the ring with ``kid`` retired; the oldest of many retired keys is forgotten."""
    keys = _moved(keys, kid, KeyState.RETIRED, now_ms)
    old = sorted((key for key in keys if key.state is KeyState.RETIRED), key=lambda key: key.since_ms)
    forgotten = {key.kid for key in old[:-REMEMBERED_RETIRED]}
    return tuple(key for key in keys if key.kid not in forgotten)


def _is_due(key: RingKey, rotation: Rotation, now_ms: int) -> bool:
    due = due_ms(key, rotation)
    return due is not None and now_ms >= due


def _moved(keys: Keys, kid: str, state: KeyState, now_ms: int) -> Keys:
    return tuple(replace(key, state=state, since=instant(now_ms)) if key.kid == kid else key for key in keys)
