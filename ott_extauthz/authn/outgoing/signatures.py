"""Which headers sign this request?  One answer for each form, out of the request, a key, an instant and a nonce."""

from dataclasses import dataclass, field
from typing import Final, assert_never

from ott_extauthz.authn.http_signatures.message import Message
from ott_extauthz.authn.http_signatures.signing import (
    DEFAULT_COMPONENTS,
    DIGEST_HEADER,
    Claims,
    NotSignableError,
    prepared,
)
from ott_extauthz.authn.outgoing.signing_keys import SigningKey
from ott_extauthz.authn.partners import SignatureForm
from ott_extauthz.authn.webhooks import standard
from ott_extauthz.authn.webhooks.message import HeaderLines
from ott_extauthz.authn.webhooks.stamped import stamped_content, stamped_headers
from ott_extauthz.model.message_component import Component

DEFAULT_EXPIRES_SECONDS: Final = 300

_MESSAGE_PREFIX: Final = "msg_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A request that leaves, as its receiver will see it, at one instant (unix seconds)."""

    message: Message
    body: bytes = field(repr=False)
    at_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedParts:
    """What is signed where the form leaves a choice: the terms of a route, with nothing left out."""

    components: tuple[Component, ...] = DEFAULT_COMPONENTS
    expires_seconds: int = DEFAULT_EXPIRES_SECONDS
    tag: str | None = None
    keeps_id: bool = False


def signature_headers(key: SigningKey, request: Outline, parts: SignedParts, nonce: str) -> HeaderLines:
    """Return the headers that sign ``request``; ``nonce`` is base64url, random, and nobody had it before.

    Raises:
        NotSignableError: the request lacks something that is signed.
    """
    match key.form:
        case SignatureForm.HMAC | SignatureForm.EDDSA:
            return _stamped(key, request, nonce)
        case SignatureForm.STANDARD_WEBHOOKS:
            return _standard(key, request, nonce, keeps_id=parts.keeps_id)
        case SignatureForm.HTTP_SIGNATURES:
            return _covering(key, request, parts, nonce)
        case _:
            assert_never(key.form)


def _stamped(key: SigningKey, request: Outline, nonce: str) -> HeaderLines:
    timestamp = str(request.at_seconds)
    signature = key.maker.sign(stamped_content(timestamp, nonce, request.body))
    return stamped_headers(key.form, timestamp, nonce, signature)


def _standard(key: SigningKey, request: Outline, nonce: str, *, keeps_id: bool) -> HeaderLines:
    timestamp = str(request.at_seconds)
    message_id = _sent_id(request) if keeps_id else None
    if message_id is None:
        message_id = _MESSAGE_PREFIX + nonce
    signature = key.maker.sign(standard.standard_content(message_id, timestamp, request.body))
    return standard.standard_headers(message_id, timestamp, (key.maker.algorithm, signature))


def _covering(key: SigningKey, request: Outline, parts: SignedParts, nonce: str) -> HeaderLines:
    if key.keyid is None:
        raise ValueError("an HTTP message signature names its key")
    claims = Claims(
        keyid=key.keyid,
        algorithm=key.maker.algorithm,
        created=request.at_seconds,
        expires=request.at_seconds + parts.expires_seconds,
        nonce=nonce,
        tag=parts.tag,
    )
    body = request.body if any(each.name == DIGEST_HEADER for each in parts.components) else None
    ready = prepared(request.message, body, parts.components, claims)
    return ready.headers(key.maker.sign(ready.base))


def _sent_id(request: Outline) -> str | None:
    """Return the id that the workload gave its message, which it gives again when it tries again."""
    values = request.message.headers.get(standard.ID, ())
    if not values:
        return None
    if len(values) > 1 or not standard.is_id(values[0]):
        raise NotSignableError(f"the request has no {standard.ID} that can be signed")
    return values[0]
