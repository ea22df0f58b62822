"""Where do the keys lie that open sealed tokens?  A folder of private keys, and the JWK Set that issuers seal with.

- ``*.pem`` and ``*.jwk``: a private key each, readable by its owner alone; several while keys turn.
- ``encryption-jwks.json``: their public halves, the newest first, for the issuer's `encryption`.
"""

import os
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ott_extauthz.authn.decryption import (
    ALGORITHM,
    DecryptionKey,
    DecryptionKeyError,
    DecryptionKeys,
    decryption_key_from,
)
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.reload.bounded import bounded

PUBLIC_FILE: Final = "encryption-jwks.json"
Curve = Literal["P-256", "X25519"]
_OTHERS_ANYTHING: Final = 0o077
_MOST_BYTES: Final = 64 * 1024


def private_files(folder: Path) -> list[Path]:
    """Return the files with private keys, in the order of their names."""
    return sorted(path for pattern in ("*.pem", "*.jwk") for path in folder.glob(pattern))


def load_decryption(folder: Path) -> DecryptionKeys:
    """Return the keys by ``kid``.

    Raises:
        DocumentError: every problem at once; a folder without a key is one.
    """
    keys: dict[str, DecryptionKey] = {}
    problems: list[Problem] = []
    paths = private_files(folder)
    for path in paths:
        try:
            kid, key = decryption_key_from(_private_bytes(path))
        except (DecryptionKeyError, OSError) as error:
            problems.append(Problem(str(path), 0, 0, "", _why(error)))
            continue
        if kid in keys:
            problems.append(Problem(str(path), 0, 0, "", "another file has a key with this kid"))
        keys[kid] = key
    if not paths:
        problems.append(Problem(str(folder), 0, 0, "", "no *.pem and no *.jwk; `ott-extauthz keys init-encryption`"))
    if problems:
        raise DocumentError(problems)
    return keys


def init_encryption(folder: Path, curve: Curve) -> tuple[str, Path]:
    """Make one more key, and publish it first; returns its ``kid`` and the file to hand to issuers.

    Raises:
        DocumentError: a key that is there already cannot be used.
        OSError: the disk refuses.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    older = load_decryption(folder) if private_files(folder) else {}
    made: ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey = (
        ec.generate_private_key(ec.SECP256R1()) if curve == "P-256" else x25519.X25519PrivateKey.generate()
    )
    pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    kid, key = decryption_key_from(pem)
    _write(folder / f"encryption-{kid}.pem", pem, mode=0o600)
    # The private key first: nobody must seal with a key that cannot be opened.
    public = folder / PUBLIC_FILE
    before = _published_order(public)
    ordered = sorted(older, key=lambda one: before.index(one) if one in before else len(before))
    entries = [_public(kid, key), *(_public(one, older[one]) for one in ordered)]
    _write(public, msgspec.json.format(msgspec.json.encode({"keys": entries}), indent=2) + b"\n", mode=0o644)
    return kid, public


def _public(kid: str, key: DecryptionKey) -> dict[str, str]:
    members = {str(name): str(value) for name, value in key.as_dict(private=False).items() if name in _SHOWN}
    return members | {"kid": kid, "use": "enc", "alg": ALGORITHM}


_SHOWN: Final = frozenset({"kty", "crv", "x", "y"})


def _published_order(path: Path) -> Sequence[str]:
    try:
        return [str(entry["kid"]) for entry in msgspec.json.decode(bounded(path))["keys"]]
    except (OSError, msgspec.DecodeError, KeyError, TypeError):
        return []  # made anew from the private keys


def _private_bytes(path: Path) -> bytes:
    """Read a private key; the mode is asked of the very file that is read."""
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise DecryptionKeyError("not a regular file")
        if mode & _OTHERS_ANYTHING:
            raise DecryptionKeyError(f"its mode {stat.S_IMODE(mode):04o} lets others read or write it; chmod 600")
        return file.read(_MOST_BYTES)


def _write(path: Path, content: bytes, *, mode: int) -> None:
    descriptor, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)  # born with mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _why(error: Exception) -> str:
    return f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
