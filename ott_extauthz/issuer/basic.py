"""What does an ``Authorization: Basic`` header say?  RFC 7617, with both parts form-encoded first (RFC 6749 §2.3.1)."""

import binascii
import re
from dataclasses import dataclass, field
from typing import Final

REALM: Final = 'Basic realm="token endpoint", charset="UTF-8"'  # RFC 7617 §2.1
"""The challenge that a refused Basic is answered with (RFC 6749 §5.2)."""

_BASIC: Final = re.compile(r"basic +((?:[a-z0-9+/]{4})*(?:[a-z0-9+/]{2}==|[a-z0-9+/]{3}=)?)", re.IGNORECASE | re.ASCII)
_ESCAPED: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_STRAY: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class BasicCredentials:
    """A client_id and a secret, nothing of it believed."""

    client_id: str
    secret: str = field(repr=False)


def is_basic(header: str) -> bool:
    """Whether the header tries Basic, well formed or not."""
    return header.partition(" ")[0].lower() == "basic"


def basic_from(header: str) -> BasicCredentials | None:
    """Return what the header says; None where it is malformed."""
    found = _BASIC.fullmatch(header)
    if found is None:
        return None
    try:
        raw = binascii.a2b_base64(found[1], strict_mode=True)
        name, colon, secret = raw.partition(b":")
        return BasicCredentials(_form_decoded(name), _form_decoded(secret)) if colon else None
    except ValueError:  # binascii.Error and UnicodeDecodeError are
        return None


def _form_decoded(text: bytes) -> str:
    if _STRAY.search(text):
        raise ValueError("a percent sign that begins no escape")
    return _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), text.replace(b"+", b" ")).decode("utf-8")
