"""Where do the issuer's keys lie?  A directory with one private key, the ring that says what it is, and its JWK Set.

- ``signing-<kid>.pem``: the private key, PKCS#8, readable by its owner alone.
- ``jwks.json``: what verifiers need, public.
- ``ring.json``: which keys there are and in which state, public.  It is written last: without it nothing is a ring, so
  an initialisation that was cut off is no half ring, and can be done again.
- Every file appears whole or not at all: written beside its place, flushed to the disk, then renamed.
- Nothing is believed that does not go together: the ring, the private key and the JWK Set must name one key.
"""

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from ott_extauthz.ports import Signer
from ott_extauthz.stores.signing import PrivateKey, SigningAlgorithm, new_key, public_jwk, signer_from

RING_FILE: Final = "ring.json"
JWKS_FILE: Final = "jwks.json"
_OTHERS_WRITE: Final = 0o022
_OTHERS_ANYTHING: Final = 0o077
_INIT: Final = "make one with `ott-extauthz keys init`"
_RESTORE: Final = "restore the directory from a backup, or make a new one with `ott-extauthz keys init`"


class KeyFileError(Exception):
    """A key directory that cannot be used: which file, what is wrong with it, and what to do.  Never its content."""

    def __init__(self, path: Path, problem: str, mend: str) -> None:
        super().__init__(f"{path}: {problem}; {mend}")
        self.path = path
        self.problem = problem
        self.mend = mend


class RingKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be told of a key.  A state this version does not know is refused, not guessed at."""

    kid: str
    alg: SigningAlgorithm
    state: Literal["active"]
    created: datetime


class _Ring(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: tuple[RingKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRing:
    """A loaded key directory: what is in it, a signer for the active key, and the JWK Set to publish."""

    keys: tuple[RingKey, ...]
    signer: Signer = field(repr=False)
    jwks: bytes = field(repr=False)

    async def run(self) -> None:
        """Return: a ring of one key that never turns has nothing to do."""


def init_keys(directory: Path, *, algorithm: SigningAlgorithm = "EdDSA", now_ms: int) -> RingKey:
    """Make a key directory with one active key.

    Raises:
        KeyFileError: there is a ring already, others may write into the directory, or the disk refuses.
    """
    with _errors_named(directory):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if directory.stat().st_mode & _OTHERS_WRITE:
            raise KeyFileError(directory, "others may write into it", f"chmod 700 {directory}")
        with _alone_in(directory):
            if os.path.lexists(directory / RING_FILE):
                raise KeyFileError(directory / RING_FILE, "exists already", "choose another directory")
            return _write_ring(directory, algorithm, now_ms)


def load_keys(directory: Path) -> FileRing:
    """Load a key directory for signing.

    Raises:
        KeyFileError: anything is missing, too widely readable, unknown, or does not go together.
    """
    keys = list_keys(directory)
    if len(keys) != 1:
        raise KeyFileError(directory / RING_FILE, f"{len(keys)} active keys where there must be one", _RESTORE)
    key = _private_key(directory, keys[0])
    signer = signer_from(key, keys[0].alg)
    if signer is None or signer.kid != keys[0].kid:
        raise KeyFileError(_private_path(directory, keys[0].kid), "is not the key that the ring names", _RESTORE)
    jwks = _jwks(key, keys[0].alg)
    if _json(directory / JWKS_FILE, Any) != jwks:
        raise KeyFileError(directory / JWKS_FILE, "is not the public half of the ring's key", _RESTORE)
    return FileRing(keys=keys, signer=signer, jwks=msgspec.json.encode(jwks))


def list_keys(directory: Path) -> tuple[RingKey, ...]:
    """Return what the ring says of its keys; no private key is touched.

    Raises:
        KeyFileError: there is no ring, or it is not one that this version understands.
    """
    ring: _Ring = _json(directory / RING_FILE, _Ring)
    return ring.keys


def _write_ring(directory: Path, algorithm: SigningAlgorithm, now_ms: int) -> RingKey:
    """Private key, then JWK Set, then ring: each refers only to what is already safe on the disk."""
    key = new_key(algorithm)
    created = datetime.fromtimestamp(now_ms // 1000, UTC)
    entry = RingKey(public_jwk(key.public_key(), algorithm)["kid"], algorithm, "active", created)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(_private_path(directory, entry.kid), pem, mode=0o600)
    _write(directory / JWKS_FILE, _pretty(_jwks(key, algorithm)), mode=0o644)
    _write(directory / RING_FILE, _pretty(_Ring((entry,))), mode=0o644)
    return entry


def _private_path(directory: Path, kid: str) -> Path:
    return directory / f"signing-{kid}.pem"


def _jwks(key: PrivateKey, algorithm: SigningAlgorithm) -> dict[str, list[dict[str, str]]]:
    return {"keys": [public_jwk(key.public_key(), algorithm)]}


def _pretty(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _json(path: Path, type_: Any) -> Any:  # noqa: ANN401 - whatever type was asked for
    try:
        return msgspec.json.decode(path.read_bytes(), type=type_)
    except FileNotFoundError:
        raise KeyFileError(path, "is missing", _INIT) from None
    except OSError as error:
        raise KeyFileError(path, f"cannot be read: {_why(error)}", "let the service's user read it") from None
    except msgspec.DecodeError as error:  # the ring and the JWK Set are public, so the message may be told
        raise KeyFileError(path, f"is not understood: {error}", _RESTORE) from None


def _private_key(directory: Path, entry: RingKey) -> PrivateKey:
    path = _private_path(directory, entry.kid)
    pem = _private_bytes(path)
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # their texts may quote what they read
        raise KeyFileError(path, "is not an unencrypted PKCS#8 private key", _RESTORE) from None
    if not isinstance(key, PrivateKey):
        raise KeyFileError(path, "is not the key that the ring names", _RESTORE)
    return key


def _private_bytes(path: Path) -> bytes:
    """Read a private key; the mode is asked of the very file that is read, so that it cannot be swapped in between."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise KeyFileError(path, "is not a regular file", _RESTORE)
            if mode & _OTHERS_ANYTHING:
                problem = f"its mode {stat.S_IMODE(mode):04o} lets others read or write it"
                raise KeyFileError(path, problem, f"chmod 600 {path}, and make a new key if somebody may have read it")
            return file.read()
    except FileNotFoundError:
        raise KeyFileError(path, "is missing", _RESTORE) from None
    except OSError as error:
        raise KeyFileError(path, f"cannot be read: {_why(error)}", "let the service's user read it") from None


def _write(path: Path, content: bytes, *, mode: int) -> None:
    descriptor, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)  # born with mode 0600
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


def _sync(directory: Path) -> None:
    """Make the renames themselves last: without it a power cut could forget the name of a synced file."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Hold the directory's lock, so that two initialisations cannot mix their files."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _errors_named(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise KeyFileError(directory, f"cannot be written: {_why(error)}", "choose another directory") from None


def _why(error: OSError) -> str:
    return error.strerror or type(error).__name__
