"""Is this the content that ``Content-Digest`` speaks of?  RFC 9530, over the bytes as they were sent.

SHA-256 and SHA-512 alone; others are passed over, for broken ones prove nothing.  One of the two must be there, and
whichever is must be right: one that is wrong says that somebody changed something.
"""

import hashlib
import hmac
from typing import Final

import http_sf

from ott_extauthz.model.message_component import refuse_double

MAX_FIELD_CHARACTERS: Final = 4096

_HASHES: Final = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}


def content_digest(content: bytes) -> str:
    """Return the field's value for this content."""
    return http_sf.ser({"sha-256": hashlib.sha256(content).digest()})


def is_digest_of(value: str, content: bytes) -> bool:
    """Whether the field's value is a digest of this content."""
    try:
        members = _members(value)
    except (ValueError, TypeError, OverflowError):
        return False
    known = [(digest, _HASHES[name]) for name, digest in members.items() if name in _HASHES]
    return bool(known) and all(
        isinstance(digest, bytes) and hmac.compare_digest(digest, hash_of(content).digest())
        for digest, hash_of in known
    )


def _members(value: str) -> dict[str, object]:
    if len(value) > MAX_FIELD_CHARACTERS:
        raise ValueError("too long")
    found = http_sf.parse(value.encode("latin-1"), tltype="dictionary", on_duplicate_key=refuse_double)
    if not isinstance(found, dict):
        raise ValueError("not a dictionary")  # noqa: TRY004 - a sender's mistake, not a caller's
    return {name: member[0] if isinstance(member, tuple) else member for name, member in found.items()}
