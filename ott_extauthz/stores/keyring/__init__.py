"""Where do the issuer's keys lie?  A directory with private keys, the ring that says what they are, and its JWK Set.

- ``signing-<kid>.pem``: a private key, PKCS#8, readable by its owner alone, encrypted where a passphrase is set.
- ``jwks.json``: what verifiers need, public.
- ``ring.json``: which keys there are and in which state, public.  Without it nothing is a ring, so an initialisation
  that was cut off is no half ring, and can be done again.
"""

from pathlib import Path

from ott_extauthz.stores.keyring.changing import advance, init_ring, retire, rotate
from ott_extauthz.stores.keyring.file_ring import FileRing
from ott_extauthz.stores.keyring.loading import LoadedRing, load_ring
from ott_extauthz.stores.keyring.place import JWKS_FILE, RING_FILE, KeyFileError, Place
from ott_extauthz.stores.keyring.ring_file import Keys, RingKey, keys_in
from ott_extauthz.stores.keyring.schedule import Rotation
from ott_extauthz.stores.signing import SigningAlgorithm

__all__ = [
    "JWKS_FILE", "RING_FILE", "FileRing", "KeyFileError", "Keys", "LoadedRing", "Place", "RingKey", "Rotation",
    "advance", "init_keys", "init_ring", "keys_in", "load_ring", "retire", "rotate",
]  # fmt: skip


def init_keys(directory: Path, *, algorithm: SigningAlgorithm = "EdDSA", now_ms: int) -> RingKey:
    """Make an unencrypted ring; see :func:`init_ring`."""
    return init_ring(Place(directory=directory), algorithm=algorithm, now_ms=now_ms)
