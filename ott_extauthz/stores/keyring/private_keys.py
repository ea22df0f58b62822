"""Is this the private key that the ring names, and can nobody else read it?  PKCS#8, encrypted under a passphrase.

- The mode is asked of the very file that is read, so that it cannot be swapped in between.
- With a passphrase an unencrypted key is refused, and without one an encrypted key: what was configured is what is.
- No message quotes a byte of key or passphrase, nor says in which way a passphrase was wrong.
"""

import os
import stat
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from ott_extauthz.ports import Signer
from ott_extauthz.stores.keyring.place import READABLE, RESTORE, KeyFileError, Place, why
from ott_extauthz.stores.keyring.ring_file import RingKey
from ott_extauthz.stores.signing import PrivateKey, signer_from

_MOST_BYTES: Final = 64 * 1024
_OTHERS_ANYTHING: Final = 0o077
_GROUP_MAY_READ: Final = 0o037
_ENCRYPTED: Final = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"


def read_signer(place: Place, entry: RingKey) -> Signer:
    """Return the signer of a ring's key.

    Raises:
        KeyFileError: the key is missing, too widely readable, not decrypted by the passphrase, or another one.
    """
    path = place.private(entry.kid)
    pem, passphrase = _secret(path, _GROUP_MAY_READ if place.is_read_only else _OTHERS_ANYTHING), passphrase_of(place)
    _check_encryption(path, is_encrypted=_ENCRYPTED in pem, has_passphrase=passphrase is not None)
    try:
        key = serialization.load_pem_private_key(pem, password=passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # their texts may quote what they read
        if passphrase is None:
            raise KeyFileError(path, "is not a PKCS#8 private key", RESTORE) from None
        mend = "check issuer.passphrase_file, or restore the key from a backup"
        raise KeyFileError(path, "cannot be decrypted with the passphrase", mend) from None
    signer = signer_from(key, entry.alg)
    if signer is None or signer.kid != entry.kid:
        raise KeyFileError(path, "is not the key that the ring names", RESTORE)
    return signer


def private_pem(key: PrivateKey, passphrase: bytes | None) -> bytes:
    """Return a private key as it is written: encrypted where there is a passphrase."""
    protection: serialization.KeySerializationEncryption = (
        serialization.NoEncryption() if passphrase is None else serialization.BestAvailableEncryption(passphrase)
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


def passphrase_of(place: Place) -> bytes | None:
    """Return the passphrase, without the line's end; None where none is configured.

    Raises:
        KeyFileError: the file is missing, too widely readable, or empty.
    """
    if place.passphrase_file is None:
        return None
    passphrase = _secret(place.passphrase_file, _GROUP_MAY_READ).rstrip(b"\r\n")
    if not passphrase:
        raise KeyFileError(place.passphrase_file, "is empty", "write a passphrase into it")
    return passphrase


def _check_encryption(path: Path, *, is_encrypted: bool, has_passphrase: bool) -> None:
    if is_encrypted and not has_passphrase:
        raise KeyFileError(path, "is encrypted", "name the passphrase's file: issuer.passphrase_file")
    if has_passphrase and not is_encrypted:
        mend = "encrypt it with the passphrase (`openssl pkcs8 -topk8`), or make a new key directory"
        raise KeyFileError(path, "is not encrypted, although issuer.passphrase_file is set", mend)


def _secret(path: Path, forbidden: int) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise KeyFileError(path, "is not a regular file", RESTORE)
            if mode & forbidden:
                problem = f"its mode {stat.S_IMODE(mode):04o} lets others read or write it"
                raise KeyFileError(path, problem, f"chmod 600 {path}, and replace it if somebody may have read it")
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise KeyFileError(path, "is missing", RESTORE) from None
    except OSError as error:
        raise KeyFileError(path, f"cannot be read: {why(error)}", READABLE) from None
    if len(content) > _MOST_BYTES:
        raise KeyFileError(path, f"is larger than {_MOST_BYTES} bytes", RESTORE)
    return content
