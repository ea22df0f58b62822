"""Which keys does a ring have, and in which state?  ``ring.json``: public, and the one truth all else follows."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from ott_extauthz.issuer.key_change import KeyState
from ott_extauthz.reload.bounded import bounded
from ott_extauthz.stores.keyring.place import INIT, READABLE, RESTORE, KeyFileError, Place, why
from ott_extauthz.stores.signing import SigningAlgorithm

_Instant = Annotated[datetime, msgspec.Meta(tz=True)]
_Thumbprint = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{43}$")]  # it becomes part of a file's name


class RingKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What may be told of a key.  A state this version does not know is refused, not guessed at.

    ``since`` is when it came into its state; the first key of a ring has been active since it was ``created``.
    """

    kid: _Thumbprint
    alg: SigningAlgorithm
    state: KeyState
    created: _Instant
    since: _Instant | None = None

    @property
    def since_ms(self) -> int:
        """Since when the key is in its state."""
        return _ms(self.since or self.created)

    @property
    def made_ms(self) -> int:
        """When the key was made."""
        return _ms(self.created)


Keys = tuple[RingKey, ...]


class _Ring(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: Keys


def keys_in(place: Place) -> Keys:
    """Return what the ring says of its keys; no private key is touched.

    Raises:
        KeyFileError: there is no ring, or it is not one that this version understands.
    """
    ring: _Ring = json_in(place.ring, _Ring)
    kids = [key.kid for key in ring.keys]
    if len(set(kids)) != len(kids):
        raise KeyFileError(place.ring, "names a key twice", RESTORE)
    active = sum(key.state is KeyState.ACTIVE for key in ring.keys)
    if active != 1:
        raise KeyFileError(place.ring, f"{active} active keys where there must be one", RESTORE)
    return ring.keys


def ring_json(keys: Keys) -> bytes:
    """Return the content of ``ring.json``."""
    return pretty(_Ring(keys))


def instant(at_ms: int) -> datetime:
    """Return milliseconds since the epoch as the ring writes them."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).replace(microsecond=at_ms % 1000 * 1000)


def pretty(value: object) -> bytes:
    """Return JSON for people, too."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def json_in(path: Any, type_: Any) -> Any:  # noqa: ANN401 - whatever type was asked for
    """Read a public JSON file of a ring.

    Raises:
        KeyFileError: it cannot be read or understood.
    """
    try:
        return msgspec.json.decode(bounded(path), type=type_)
    except FileNotFoundError:
        raise KeyFileError(path, "is missing", INIT) from None
    except OSError as error:
        raise KeyFileError(path, f"cannot be read: {why(error)}", READABLE) from None
    except msgspec.DecodeError as error:  # the ring and the JWK Set are public, so the message may be told
        raise KeyFileError(path, f"is not understood: {error}", RESTORE) from None


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
