"""Where does a ring lie, and what may be done there?  Its directory, its file names, and the one error."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

RING_FILE: Final = "ring.json"
JWKS_FILE: Final = "jwks.json"
INIT: Final = "make one with `ott-extauthz keys init`"
RESTORE: Final = "restore the directory from a backup, or make a new one with `ott-extauthz keys init`"
READABLE: Final = "let the service's user read it"
_PRIVATE: Final = "signing-"
_PEM: Final = ".pem"


class KeyFileError(Exception):
    """A key directory that cannot be used: which file, what is wrong with it, and what to do.  Never its content."""

    def __init__(self, path: Path, problem: str, mend: str) -> None:
        super().__init__(f"{path}: {problem}; {mend}")
        self.path = path
        self.problem = problem
        self.mend = mend


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A key directory.

    ``passphrase_file`` holds what its private keys are encrypted with.  ``is_read_only``: somebody else puts the files
    there (a Kubernetes Secret); a group may read them then, and nothing is ever written.
    """

    directory: Path
    passphrase_file: Path | None = None
    is_read_only: bool = False

    @property
    def ring(self) -> Path:
        """The file that says which keys there are."""
        return self.directory / RING_FILE

    @property
    def jwks(self) -> Path:
        """The JWK Set that verifiers read."""
        return self.directory / JWKS_FILE

    def private(self, kid: str) -> Path:
        """Return where a key's private half lies."""
        return self.directory / f"{_PRIVATE}{kid}{_PEM}"

    def private_kids(self) -> frozenset[str]:
        """Return the ids of all private keys in the directory, whether the ring knows them or not."""
        names = [path.name for path in self.directory.glob(f"{_PRIVATE}*{_PEM}")]
        return frozenset(name.removeprefix(_PRIVATE).removesuffix(_PEM) for name in names)

    def check_writable(self) -> None:
        """Refuse to change what is somebody else's.

        Raises:
            KeyFileError: the ring is configured as read-only.
        """
        if self.is_read_only:
            problem = "is configured as read_only, so its keys are not made, rotated or retired here"
            raise KeyFileError(self.directory, problem, "do it where the directory is written, and copy it whole")


def why(error: OSError) -> str:
    """Return what the system says of a fault."""
    return os.strerror(error.errno) if error.errno else type(error).__name__
