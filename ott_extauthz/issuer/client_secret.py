"""What is a client's secret?  32 random bytes that we make, of which only salted hashes are kept (RFC 6749 §2.3.1).

Why SHA-256 and no slow hash: scrypt and its like make up for secrets that people choose.  Ours are 256 random bits, and
no guess is ever worth its price, fast or not; a hash of 100 ms, which anybody may ask for without being known, would be
a lever to hold the issuer still.  So that it stays true, secrets come from :func:`new_secret` alone: a file cannot be
written by hand without computing its hash, and what does not look like one of ours is not a secret.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final

from ott_extauthz.authn.base64url import decoded, encoded
from ott_extauthz.ports import Entropy

MAX_HASHES: Final = 2
"""The new secret and the one before it: a client changes over without a gap."""

_SECRET_BYTES: Final = 32
_SALT_BYTES: Final = 16
_DIGEST_BYTES: Final = 32
_SCHEME: Final = "sha256"
_FORM: Final = re.compile(r"ott_[A-Za-z0-9_-]{43}")


class SecretFileError(ValueError):
    """A text that holds no hashes of secrets; quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class SecretHash:
    """One secret's salt and digest."""

    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    @property
    def line(self) -> str:
        """The hash as it stands in a file."""
        return f"{_SCHEME}:{encoded(self.salt)}:{encoded(self.digest)}"

    def matches(self, secret: bytes) -> bool:
        """Whether this is the secret; in the same time whatever it is."""
        return hmac.compare_digest(_digest(self.salt, secret), self.digest)


_DECOY: Final = SecretHash(bytes(_SALT_BYTES), bytes(_DIGEST_BYTES))
"""Nobody's: no one knows an input whose SHA-256 is all zeros."""


@dataclass(frozen=True, slots=True)
class SecretHashes:
    """The hashes of a client's secrets, the newest first; with none of them it is nobody's."""

    hashes: tuple[SecretHash, ...] = ()

    def match(self, secret: str) -> bool:
        """Whether ``secret`` is one of them; as much is computed for nobody's, and for one or two."""
        raw = secret.encode("utf-8", "surrogatepass")
        padded = (*self.hashes, *[_DECOY] * (MAX_HASHES - len(self.hashes)))
        found = [each.matches(raw) for each in padded]
        return any(found) and _FORM.fullmatch(secret) is not None


NOBODYS: Final = SecretHashes()


def new_secret(entropy: Entropy) -> tuple[str, SecretHash]:
    """Make a secret, to be shown once, and the hash that is kept of it."""
    raw, salt = entropy(_SECRET_BYTES), entropy(_SALT_BYTES)
    if len(raw) != _SECRET_BYTES or len(salt) != _SALT_BYTES:
        raise RuntimeError("entropy gave fewer bytes than asked for; a guessable secret must not be handed out")
    secret = f"ott_{encoded(raw)}"
    return secret, SecretHash(salt, _digest(salt, secret.encode("ascii")))


def hashes_from(text: str) -> SecretHashes:
    """Read a file of hashes, one a line.

    Raises:
        SecretFileError: it is not one; the message says what is wrong and quotes nothing, for it may be a secret.
    """
    lines = text.splitlines()
    if not 1 <= len(lines) <= MAX_HASHES:
        raise SecretFileError(f"a file of 1 to {MAX_HASHES} lines that `ott-extauthz clients secret` makes")
    return SecretHashes(tuple(_hash(number, line) for number, line in enumerate(lines, 1)))


def _hash(number: int, line: str) -> SecretHash:
    scheme, _, rest = line.partition(":")
    salt, digest = (decoded(part) for part in (rest.partition(":")[0], rest.partition(":")[2]))
    if scheme != _SCHEME or salt is None or digest is None:
        raise SecretFileError(f"line {number} is no hash of a secret; `ott-extauthz clients secret` makes one")
    if len(salt) != _SALT_BYTES or len(digest) != _DIGEST_BYTES:
        raise SecretFileError(f"line {number} is cut off; `ott-extauthz clients secret` makes a new one")
    return SecretHash(salt, digest)


def _digest(salt: bytes, secret: bytes) -> bytes:
    return hashlib.sha256(salt + secret).digest()  # the salt's length is fixed, so the two cannot be shifted
