"""Is this base64 with padding, spelled the one way it may be (RFC 4648 §4)?  No line breaks, no stray bits."""

import binascii
import re
from typing import Final

_FORM: Final = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def decoded(text: str) -> bytes | None:
    """Return the bytes, or None when the text is not canonical base64: two spellings would be two signatures."""
    if not _FORM.fullmatch(text):
        return None
    raw = binascii.a2b_base64(text.encode("ascii"))
    return raw if encoded(raw) == text else None


def encoded(raw: bytes) -> str:
    """Return padded base64."""
    return binascii.b2a_base64(raw, newline=False).decode("ascii")
