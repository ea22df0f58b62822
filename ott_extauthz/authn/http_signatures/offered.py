"""Which signatures does a request bring?  ``Signature-Input`` and ``Signature`` (RFC 9421 §4), before any is believed.

- Both headers come once, and have the same labels: a signature without its input, or the other way, is a mistake or
  an attempt.  A label, a parameter or a component that stands twice is no choice of ours to make.
- A proxy on the way may have signed, too.  What it covers may be nothing that we know, so that only the signature that
  is chosen is read to the end.
- Parameters are those of RFC 9421 §2.3.  One that we do not know may narrow what was meant.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import http_sf

from ott_extauthz.authn.http_signatures.base import signature_parameters
from ott_extauthz.model.facts import Headers
from ott_extauthz.model.message_component import Component, checked, refuse_double

INPUT_HEADER: Final = "signature-input"
SIGNATURE_HEADER: Final = "signature"
MAX_FIELD_CHARACTERS: Final = 4096
"""An RSA signature of 4096 bits has 684; what is longer is left unread, for whoever sends it has proven nothing."""
MAX_SIGNATURES: Final = 8
MAX_COMPONENTS: Final = 32

_TEXTS: Final = frozenset({"keyid", "nonce", "alg", "tag"})
_INSTANTS: Final = frozenset({"created", "expires"})


class OfferError(ValueError):
    """The headers are not of the form; the message names which, and quotes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One signature as it came, of whoever ``keyid`` says; ``items`` and ``parameters`` are not judged yet."""

    signature: bytes = field(repr=False)
    items: tuple[object, ...] = field(repr=False)
    parameters: Mapping[str, object] = field(repr=False)

    @property
    def keyid(self) -> str | None:
        """The key that it says it was made with."""
        found = self.parameters.get("keyid")
        return found if isinstance(found, str) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What a signature covers, and what it says of itself; ``parameters_text`` is the last line of its base.

    ``created`` and ``expires`` are whole seconds.
    """

    components: tuple[Component, ...]
    parameters_text: str = field(repr=False)
    created: int | None
    expires: int | None
    nonce: str | None = field(repr=False)
    algorithm: str | None
    tag: str | None


def offers_in(headers: Headers) -> tuple[Offer, ...]:
    """Return every signature that the request brings, in order.

    Raises:
        OfferError: the two headers are missing in part, or break their grammar.
    """
    inputs, signatures = _dictionary(headers, INPUT_HEADER), _dictionary(headers, SIGNATURE_HEADER)
    if inputs.keys() != signatures.keys() or len(inputs) > MAX_SIGNATURES:
        raise OfferError("labels")
    return tuple(_offer(inputs[label], signatures[label]) for label in inputs)


def input_of(offer: Offer) -> Input:
    """Return what the signature covers, read to the end.

    Raises:
        OfferError: it covers what no request has, or one thing twice, or has a parameter that RFC 9421 does not.
    """
    components = tuple(_component(item) for item in offer.items)
    if len(components) > MAX_COMPONENTS or len({each.identity for each in components}) != len(components):
        raise OfferError("components")
    texts, instants = _told(offer.parameters)
    if texts.get("nonce") == "":
        raise OfferError("nonce")
    said: dict[str, int | str] = {**texts, **instants}
    return Input(
        components=components,
        parameters_text=signature_parameters(components, {name: said[name] for name in offer.parameters}),
        created=instants.get("created"),
        expires=instants.get("expires"),
        nonce=texts.get("nonce"),
        algorithm=texts.get("alg"),
        tag=texts.get("tag"),
    )


def _dictionary(headers: Headers, name: str) -> dict[str, object]:
    values = headers.get(name, ())
    if len(values) != 1 or not 0 < len(values[0]) <= MAX_FIELD_CHARACTERS:
        raise OfferError(name)
    try:
        found = http_sf.parse(values[0].encode("latin-1"), tltype="dictionary", on_duplicate_key=refuse_double)
    except (ValueError, TypeError, OverflowError) as error:
        raise OfferError(name) from error
    if not isinstance(found, dict) or not found:
        raise OfferError(name)
    return dict(found)


def _offer(given: object, signature: object) -> Offer:
    match given, signature:
        case (list(items), dict(parameters)), (bytes(value), dict(none)) if not none:
            return Offer(signature=value, items=tuple(items), parameters=parameters)
        case _:
            raise OfferError("labels")


def _component(item: object) -> Component:
    match item:
        case (name, dict(parameters)):
            try:
                return checked(name, parameters)
            except ValueError as error:
                raise OfferError("components") from error
        case _:
            raise OfferError("components")


def _told(parameters: Mapping[str, object]) -> tuple[dict[str, str], dict[str, int]]:
    texts: dict[str, str] = {}
    instants: dict[str, int] = {}
    for name, value in parameters.items():
        if name in _TEXTS and isinstance(value, str):
            texts[name] = value
        elif name in _INSTANTS and isinstance(value, int) and not isinstance(value, bool):
            instants[name] = value
        else:
            raise OfferError("parameters")
    return texts, instants
