"""Who signed ``id "." timestamp "." body`` (Standard Webhooks 1.0)?  `webhook-id`, `-timestamp`, `-signature`.

- The id is the message's own name: a sender that tries again signs it anew, with another timestamp.
- As in :mod:`ott_extauthz.authn.webhooks.stamped`, an id with a dot would let one signature stand for two messages.
- ``v1`` is HMAC-SHA-256 and ``v1a`` Ed25519; a version we do not know is passed over, for a sender may put a newer one
  beside it, but one that we know must be there.
"""

import re
from typing import Final, NamedTuple

from ott_extauthz.authn.padded_base64 import decoded, encoded
from ott_extauthz.authn.partners import KeyAlgorithm
from ott_extauthz.authn.webhooks.message import (
    HeaderLines,
    OfferedSignature,
    SignedMessage,
    instant_ms,
    malformed,
    only_values,
)
from ott_extauthz.model.facts import Headers
from ott_extauthz.model.rejection import Rejection

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"

MOST_SIGNATURES: Final = 4
"""Senders sign with two keys while they rotate; each further one costs us a verification by every key we have."""

_ID: Final = re.compile(r"[A-Za-z0-9_~+/=:-]{1,256}", re.ASCII)
_ENTRY: Final = re.compile(r"(v[0-9a-z]{1,8}),([A-Za-z0-9+/=]{1,8192})", re.ASCII)


class _Version(NamedTuple):
    algorithm: KeyAlgorithm
    signature_bytes: int


_VERSIONS: Final = {
    "v1": _Version(KeyAlgorithm.HMAC_SHA256, 32),
    "v1a": _Version(KeyAlgorithm.ED25519, 64),
}
_WORDS: Final = {version.algorithm: word for word, version in _VERSIONS.items()}


def is_id(text: str) -> bool:
    """Whether a message's id keeps to the grammar: 1 to 256 characters, none of them a dot or a comma."""
    return _ID.fullmatch(text) is not None


def standard_content(message_id: str, timestamp: str, body: bytes) -> bytes:
    """Return what is signed; ``timestamp`` is unix seconds in digits.

    Raises:
        ValueError: id or timestamp break their grammar, so that the content could be read in two ways.
    """
    if instant_ms(timestamp) is None or not is_id(message_id):
        raise ValueError("a timestamp is digits, an id 1 to 256 characters without a dot")
    return _preamble(message_id, timestamp) + body


def standard_headers(message_id: str, timestamp: str, *signatures: tuple[KeyAlgorithm, bytes]) -> HeaderLines:
    """Return the headers that carry these signatures, each made by a key for its algorithm (HMAC or Ed25519)."""
    entries = (f"{_WORDS[algorithm]},{encoded(value)}" for algorithm, value in signatures)
    return ((ID, message_id), (TIMESTAMP, timestamp), (SIGNATURE, " ".join(entries)))


def is_standard(headers: Headers) -> bool:
    """Whether a request brings such a signature, good or bad."""
    return SIGNATURE in headers


def standard_message(headers: Headers) -> SignedMessage | Rejection:
    """Return what the headers say was signed, or why they say nothing that counts."""
    found = only_values(headers, ID, TIMESTAMP, SIGNATURE, lists=frozenset({SIGNATURE}))
    if isinstance(found, Rejection):
        return found
    message_id, timestamp, entries = found
    signed_at_ms, signatures = instant_ms(timestamp), _signatures(entries)
    if not is_id(message_id):
        return malformed(ID)
    if signed_at_ms is None:
        return malformed(TIMESTAMP)
    if not signatures:
        return malformed(SIGNATURE)
    return SignedMessage(
        preamble=_preamble(message_id, timestamp),
        signatures=signatures,
        signed_at_ms=signed_at_ms,
        name=message_id,
        carriers=(SIGNATURE,),
        covered=frozenset({ID, TIMESTAMP}),
    )


def _signatures(entries: str) -> tuple[OfferedSignature, ...] | None:
    """Return the signatures of versions that we know; None where an entry breaks the grammar."""
    parts = entries.split(" ")
    if len(parts) > MOST_SIGNATURES:
        return None
    offered: list[OfferedSignature] = []
    for part in parts:
        entry = _ENTRY.fullmatch(part)
        if entry is None:
            return None
        version = _VERSIONS.get(entry[1])
        if version is None:
            continue
        value = decoded(entry[2])
        if value is None or len(value) != version.signature_bytes:
            return None
        offered.append(OfferedSignature(algorithm=version.algorithm, value=value))
    return tuple(offered)


def _preamble(message_id: str, timestamp: str) -> bytes:
    return f"{message_id}.{timestamp}.".encode("ascii")
