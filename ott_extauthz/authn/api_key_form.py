"""Is this text an API key as we make them?  ``<prefix>_<id>.<secret><checksum>``, told without looking anything up.

- ``prefix``    2 to 16 of ``a-z0-9``, chosen by deployment or brand: what secret scanners look for
- ``id``        11 of base62, 64 random bits: the key's public name
- ``secret``    43 of base62: 256 random bits
- ``checksum``  6 of base62: CRC-32 over all that stands before it.  It keeps nobody out; it tells a typo, a cut-off
  paste or a scanner's false alarm offline

Why SHA-256 and no slow hash: scrypt and its like make up for secrets that people choose.  Nobody chooses these: a key
comes from :func:`new_key` alone, a text with less than 43 characters of secret is refused by its form, and of 2^256
secrets no guess is ever worth its price, fast hash or not.  A hash of 100 ms would be a lever instead, for anybody may
send keys.  There is no salt either: it would guard against tables of likely secrets, and none is likelier than another.
"""

import hashlib
import re
import zlib
from dataclasses import dataclass, field
from typing import Final

from ott_extauthz.ports import Entropy

PREFIX: Final = re.compile(r"[a-z][a-z0-9]{1,15}", re.ASCII)
ID: Final = re.compile(r"[0-9A-Za-z]{11}", re.ASCII)
_FORM: Final = re.compile(r"[a-z][a-z0-9]{1,15}_([0-9A-Za-z]{11})\.[0-9A-Za-z]{43}[0-9A-Za-z]{6}", re.ASCII)
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_BYTES, _ID_DIGITS = 8, 11
_SECRET_BYTES, _SECRET_DIGITS = 32, 43
_CHECKSUM_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made; ``text`` is shown once and kept nowhere, its ``digest`` is."""

    id: str
    text: str = field(repr=False)
    digest: bytes = field(repr=False)


def new_key(prefix: str, entropy: Entropy) -> NewKey:
    """Make a key.

    Raises:
        ValueError: the prefix is none.
        RuntimeError: there was less randomness than asked for.
    """
    if not PREFIX.fullmatch(prefix):
        raise ValueError("a prefix is 2 to 16 of a-z and 0-9, and begins with a letter")
    id_ = _base62(_random(entropy, _ID_BYTES), _ID_DIGITS)
    body = f"{prefix}_{id_}.{_base62(_random(entropy, _SECRET_BYTES), _SECRET_DIGITS)}"
    text = body + _checksum(body)
    return NewKey(id_, text, digest_of(text))


def id_in(text: str) -> str | None:
    """Return the id that a well-formed key names; None where it is no key, or its checksum does not fit."""
    found = _FORM.fullmatch(text)
    if found is None or _checksum(text[:-_CHECKSUM_DIGITS]) != text[-_CHECKSUM_DIGITS:]:
        return None
    return found[1]


def digest_of(text: str) -> bytes:
    """Return what is kept of a key: SHA-256 over all of it, prefix and id as well."""
    return hashlib.sha256(text.encode("ascii")).digest()


def _random(entropy: Entropy, count: int) -> int:
    raw = entropy(count)
    if len(raw) != count:
        raise RuntimeError("entropy gave fewer bytes than asked for; a guessable key must not be handed out")
    return int.from_bytes(raw, "big")


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode("ascii")), _CHECKSUM_DIGITS)


def _base62(number: int, digits: int) -> str:
    text = ""
    for _ in range(digits):
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
    return text
