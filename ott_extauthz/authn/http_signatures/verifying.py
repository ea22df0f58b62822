"""Which partner signed this request, and enough of it?  Verification after RFC 9421 §3.2, by our own policy.

- ``keyid`` names the key, and the key its algorithm; ``alg`` may repeat it and never choose it.  The key is one of the
  partners that the route takes: exactly one signature of theirs, for whoever sends two could take them apart and send
  the request twice.  Signatures of others are passed over.
- Method, target and ``created`` are always covered, content always by ``Content-Digest``; a route adds to that, and
  takes nothing away.
- What may come once is the nonce, else the signature base, never the signature's own bytes: of an ECDSA signature
  (r, s) anybody makes another, (r, -s), that verifies as well.  The label is not signed, so it tells nothing apart.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from ott_extauthz.authn.http_signatures.base import signature_base
from ott_extauthz.authn.http_signatures.content_digest import is_digest_of
from ott_extauthz.authn.http_signatures.message import Message
from ott_extauthz.authn.http_signatures.offered import Input, Offer, OfferError, input_of, offers_in
from ott_extauthz.authn.partners import Partner, PartnerKey
from ott_extauthz.model.message_component import Component
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection

_METHOD: Final = Component("@method")
_AUTHORITY: Final = Component("@authority")
_PATH: Final = Component("@path")
_QUERY: Final = Component("@query")
_DIGEST: Final = (Component("content-digest"), Component("content-digest", (("sf", True),)))

Owner = tuple[Partner, PartnerKey]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a route asks of a signature, beside what is always asked."""

    components: tuple[Component, ...] = ()
    tag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A signature that holds.  Whether it is too old, or came before, is not judged yet.

    ``name`` is what may come once.  ``until_ms`` is the end that the signature names for itself.
    """

    partner: Partner
    name: str = field(repr=False)
    created_ms: int
    until_ms: int | None
    components: tuple[Component, ...]


def verified(message: Message, content: bytes, partners: Sequence[Partner], wanted: Wanted) -> Signed | Rejection:
    """Return whose signature holds over this request, or the first reason why none does."""
    try:
        chosen = _chosen(offers_in(message.headers), partners)
        if isinstance(chosen, Rejection):
            return chosen
        offer, owners = chosen
        given = input_of(offer)
    except OfferError as error:
        return Rejection(Reason.SIGNATURE_MALFORMED, detail=str(error))
    missing = next(_missing(message, content, given, wanted), None)
    if missing is not None:
        return Rejection(Reason.SIGNATURE_INCOMPLETE, detail=missing)
    base = signature_base(message, given.components, given.parameters_text)
    if base is None:
        return Rejection(Reason.SIGNATURE_INVALID, detail="a component that the request has not")
    partner = _signer(given, owners, base, offer.signature)
    if isinstance(partner, Rejection):
        return partner
    if not all(is_digest_of(value, content) for value in message.headers.get("content-digest", ())):
        return Rejection(Reason.CONTENT_DIGEST_MISMATCH)
    return _signed(partner, given, base)


def _chosen(offers: Sequence[Offer], partners: Sequence[Partner]) -> tuple[Offer, list[Owner]] | Rejection:
    known = [(offer, owners) for offer in offers if (owners := list(_owners(offer, partners)))]
    if len(known) > 1:
        return Rejection(Reason.SIGNATURE_MALFORMED, detail="several signatures of partners")
    if known:
        return known[0]
    if all(offer.keyid is None for offer in offers):
        return Rejection(Reason.SIGNATURE_INCOMPLETE, detail="keyid")
    return Rejection(Reason.SIGNATURE_KEY_UNKNOWN)


def _owners(offer: Offer, partners: Sequence[Partner]) -> Iterator[Owner]:
    """Yield the keys of this name; two partners may call theirs alike."""
    keyid = offer.keyid
    if keyid is None:
        return
    for partner in partners:
        for key in partner.keys:
            if key.kid == keyid:
                yield partner, key


def _missing(message: Message, content: bytes, given: Input, wanted: Wanted) -> Iterator[str]:
    """Yield what the signature leaves out, in our own words."""
    covered = {each.identity for each in given.components}
    if given.created is None:
        yield "created"
    if wanted.tag is not None and given.tag != wanted.tag:
        yield "tag"
    if _METHOD.identity not in covered:
        yield str(_METHOD)
    if not _covers_target(given, has_query=message.has_query):
        yield "the target"
    if content and not any(each.identity in covered for each in _DIGEST):
        yield str(_DIGEST[0])
    for component in wanted.components:
        if component.identity not in covered:
            yield str(component)


def _covers_target(given: Input, *, has_query: bool) -> bool:
    names = {each.name for each in given.components}
    if "@target-uri" in names:
        return True
    has_path = "@path" in names and (_QUERY.name in names or not has_query)
    return _AUTHORITY.name in names and ("@request-target" in names or has_path)


def _signer(given: Input, owners: Sequence[Owner], base: bytes, signature: bytes) -> Partner | Rejection:
    fitting = [(partner, key) for partner, key in owners if given.algorithm in (None, key.algorithm.value)]
    if not fitting:
        return Rejection(Reason.SIGNATURE_KEY_UNKNOWN, detail="alg")
    signer = next((partner for partner, key in fitting if key.verifies(base, signature)), None)
    return signer or Rejection(Reason.SIGNATURE_INVALID)


def _signed(partner: Partner, given: Input, base: bytes) -> Signed:
    assert given.created is not None  # noqa: S101 - without it the signature was incomplete
    once = f"base {hashlib.sha256(base).hexdigest()}" if given.nonce is None else f"nonce {given.nonce}"
    return Signed(
        partner=partner,
        name=once,
        created_ms=given.created * 1000,
        until_ms=None if given.expires is None else given.expires * 1000,
        components=given.components,
    )
