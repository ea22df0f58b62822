"""How does a client get a secret?  A new one made, its hash written for ``clients.yaml`` to name, and told once."""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Literal

from ott_extauthz.issuer.client_secret import MAX_HASHES, SecretHash, SecretHashes, hashes_from, new_secret
from ott_extauthz.ports import Entropy
from ott_extauthz.reload.bounded import bounded

Old = Literal["refuse", "keep", "replace"]
"""What becomes of a secret that is there already."""


class SecretExistsError(Exception):
    """There is a secret already, and nobody said what shall become of it."""


def make_secret(path: Path, *, old: Old, entropy: Entropy) -> str:
    """Make a secret and write its hash to ``path``, whole or not at all; returns the secret, which is kept nowhere.

    With ``keep`` the newest one before it goes on being good, so that a client can change over without a gap.

    Raises:
        SecretExistsError: there is one, and ``old`` is ``refuse``.
        SecretFileError: what is there to be kept is no file of hashes.
        OSError: the file cannot be read or written.
    """
    kept: tuple[SecretHash, ...] = ()
    if old == "keep" and path.exists():
        kept = hashes_from(bounded(path).decode("ascii", errors="replace")).hashes
    elif old == "refuse" and path.exists():
        raise SecretExistsError(f"{path}: there is a secret already; --keep-old or --replace")
    secret, made = new_secret(entropy)
    _write(path, SecretHashes((made, *kept)[:MAX_HASHES]))
    return secret


def _write(path: Path, hashes: SecretHashes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600, and beside its place
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write("".join(f"{each.line}\n" for each in hashes.hashes))
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
