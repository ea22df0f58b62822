"""What do a request's headers say of its signature, before anybody believes it?"""

import re
from dataclasses import dataclass, field
from typing import Final

from ott_extauthz.authn.partners import KeyAlgorithm
from ott_extauthz.model.facts import Headers
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection

HeaderLines = tuple[tuple[str, str], ...]
"""Names and values of the headers that sign a request, as a sender puts them on."""

# Twelve digits reach the year 33658; without leading zeros each instant has one spelling.
_INSTANT: Final = re.compile(r"0|[1-9][0-9]{0,11}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedSignature:
    """A signature that came, and the one kind of key that may verify it."""

    algorithm: KeyAlgorithm
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedMessage:
    """What was signed, if one of the signatures holds: ``preamble`` and behind it the body.

    ``name`` is the nonce, or the message's own id.  ``carriers`` are the headers with the signatures themselves;
    ``covered`` are the headers that are signed.
    """

    preamble: bytes = field(repr=False)
    signatures: tuple[OfferedSignature, ...]
    signed_at_ms: int
    name: str = field(repr=False)
    carriers: tuple[str, ...]
    covered: frozenset[str]


def only_values(headers: Headers, *names: str, lists: frozenset[str] = frozenset()) -> list[str] | Rejection:
    """Return the one value of each header, all of which must be there once; the first that is not refuses.

    Envoy joins repeated headers with a comma, so none may have one but ``lists``, whose entries have commas of theirs.
    """
    found: list[str] = []
    for name in names:
        values = headers.get(name, ())
        if len(values) > 1 or (values and "," in values[0] and name not in lists):
            return Rejection(Reason.CREDENTIAL_DUPLICATED, detail=name)
        if not values:
            return malformed(name)
        found.append(values[0])
    return found


def malformed(name: str) -> Rejection:
    """Return the refusal of a header that is missing, or breaks its grammar."""
    return Rejection(Reason.SIGNATURE_MALFORMED, detail=name)


def instant_ms(text: str) -> int | None:
    """Read unix seconds: digits alone, no sign, no fraction, no leading zero."""
    return int(text) * 1000 if _INSTANT.fullmatch(text) else None
