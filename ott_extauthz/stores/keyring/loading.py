"""What may be signed with?  A ring as it lies there, believed only where ring, key set and private keys go together.

Read without a lock: whoever finds the files changing under its eyes looks again.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ott_extauthz.issuer.key_change import KeyState
from ott_extauthz.ports import Signer
from ott_extauthz.stores.keyring.files import unfinished
from ott_extauthz.stores.keyring.key_set import has_leftovers, key_set_json, public_keys
from ott_extauthz.stores.keyring.place import READABLE, KeyFileError, Place, why
from ott_extauthz.stores.keyring.private_keys import read_signer
from ott_extauthz.stores.keyring.ring_file import Keys, keys_in
from ott_extauthz.stores.keyring.schedule import active_of, published

_TRIES: Final = 20
_SIGNING: Final = (KeyState.NEXT, KeyState.ACTIVE)  # the next one too: found out while there is time

Stamp = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedRing:
    """A ring at one moment.  ``is_tidy``: no writer left anything half done."""

    keys: Keys
    signers: Mapping[str, Signer] = field(repr=False)
    jwks: bytes = field(repr=False)
    stamp: Stamp = field(repr=False)
    is_tidy: bool

    @property
    def signer(self) -> Signer:
        """The signer of the active key."""
        return self.signers[active_of(self.keys).kid]


def load_ring(place: Place, known: Mapping[str, Signer] | None = None) -> LoadedRing:
    """Load a ring for signing; ``known`` signers are not read again, for a ``kid`` names a key's content.

    Raises:
        KeyFileError: anything is missing, too widely readable, unknown, or does not go together.
    """
    for _ in range(_TRIES):
        stamp = stamp_of(place)
        try:
            loaded = _loaded(place, known or {}, stamp)
        except KeyFileError:
            if stamp_of(place) == stamp:
                raise
        except OSError as error:
            if stamp_of(place) == stamp:
                raise KeyFileError(place.directory, f"cannot be read: {why(error)}", READABLE) from None
        else:
            if stamp_of(place) == stamp:
                return loaded
    raise KeyFileError(place.directory, "keeps changing", "see who writes there")


def stamp_of(place: Place) -> Stamp:
    """Return what differs once somebody wrote the ring; where a path leads counts: a Secret swaps ``..data``."""
    return _look(place.ring), _look(place.jwks)


def _look(path: Path) -> tuple[str, int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return "", 0, 0, 0
    return os.path.realpath(path), found.st_ino, found.st_mtime_ns, found.st_size


def _loaded(place: Place, known: Mapping[str, Signer], stamp: Stamp) -> LoadedRing:
    keys = keys_in(place)
    public = public_keys(place, keys)
    signers = {key.kid: known.get(key.kid) or read_signer(place, key) for key in keys if key.state in _SIGNING}
    left_behind = place.private_kids() - {key.kid for key in published(keys)}
    is_tidy = not left_behind and not unfinished(place.directory) and not has_leftovers(place, keys)
    return LoadedRing(keys=keys, signers=signers, jwks=key_set_json(keys, public), stamp=stamp, is_tidy=is_tidy)
