"""Is this base64url, spelled the one way it may be (RFC 7515 §2)?  No padding, no other alphabet, no stray bits."""

import binascii
import re
from typing import Final

_ALPHABET: Final = re.compile(r"[A-Za-z0-9_-]*")
_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
# The last character of a part whose length is 2 or 3 modulo 4 carries unused bits; they must be zero, or one token
# would have several spellings.
_LAST_OF_TWO: Final = frozenset("AQgw")
_LAST_OF_THREE: Final = frozenset("AEIMQUYcgkosw048")


def decoded(text: str) -> bytes | None:
    """Return the bytes, or None when the text is not canonical unpadded base64url."""
    if not _ALPHABET.fullmatch(text):
        return None
    rest = len(text) & 3
    if rest == 1 or (rest == 2 and text[-1] not in _LAST_OF_TWO) or (rest == 3 and text[-1] not in _LAST_OF_THREE):  # noqa: PLR2004
        return None
    return binascii.a2b_base64(text.encode("ascii").translate(_TO_STANDARD) + b"==="[: -rest % 4])


def encoded(raw: bytes) -> str:
    """Return unpadded base64url."""
    return binascii.b2a_base64(raw, newline=False).translate(bytes.maketrans(b"+/", b"-_")).rstrip(b"=").decode("ascii")
