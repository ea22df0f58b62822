"""How is a request signed so that :mod:`.verifying`, and any other RFC 9421 verifier, takes it?

Two steps, so that the key may be anywhere: :func:`prepared` says over which bytes, :meth:`Prepared.headers` what to put
on the request once they are signed.  A signature has the form of RFC 9421 §3.3: of ECDSA r and s, 32 bytes each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import http_sf

from ott_extauthz.authn.http_signatures.base import signature_base, signature_parameters
from ott_extauthz.authn.http_signatures.content_digest import content_digest
from ott_extauthz.authn.http_signatures.message import Message
from ott_extauthz.authn.http_signatures.offered import INPUT_HEADER, SIGNATURE_HEADER
from ott_extauthz.authn.partners import KeyAlgorithm
from ott_extauthz.model.message_component import Component

DIGEST_HEADER: Final = "content-digest"
LABEL: Final = "ott"
DEFAULT_COMPONENTS: Final = tuple(map(Component, ("@method", "@authority", "@path", "@query", DIGEST_HEADER)))
"""What a verifier needs to know that this is the request: each of these behind a proxy that changes the scheme, too."""


class NotSignableError(ValueError):
    """The request cannot be signed; the message names the component, and quotes no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a signature says of itself; instants are whole seconds since the epoch, texts printable ASCII."""

    keyid: str
    algorithm: KeyAlgorithm
    created: int
    nonce: str | None = field(repr=False)
    expires: int | None = None
    tag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request that only lacks its signature: ``base`` is to be signed."""

    base: bytes = field(repr=False)
    parameters: str = field(repr=False)
    digest: str | None

    def headers(self, signature: bytes) -> tuple[tuple[str, str], ...]:
        """Return the headers to set, in place of any of that name."""
        digest = () if self.digest is None else ((DIGEST_HEADER, self.digest),)
        return (
            *digest,
            (INPUT_HEADER, f"{LABEL}={self.parameters}"),
            (SIGNATURE_HEADER, http_sf.ser({LABEL: signature})),
        )


def prepared(message: Message, content: bytes | None, components: Sequence[Component], claims: Claims) -> Prepared:
    """Return what is to be signed; ``content``: the body whose digest is put on, None leaves the header as it is.

    Raises:
        NotSignableError: the request lacks a component, or a value cannot be signed.
    """
    digest = None if content is None else content_digest(content)
    if digest is not None:
        message = message.with_header(DIGEST_HEADER, digest)
    parameters = signature_parameters(components, _said(claims))
    base = signature_base(message, components, parameters)
    if base is None:
        lacking = next(component for component in components if message.value(component) is None)
        raise NotSignableError(f"the request has no {lacking} that can be signed")
    return Prepared(base=base, parameters=parameters, digest=digest)


def _said(claims: Claims) -> dict[str, int | str]:
    said: dict[str, int | str | None] = {
        "created": claims.created,
        "expires": claims.expires,
        "nonce": claims.nonce,
        "keyid": claims.keyid,
        "alg": claims.algorithm.value,
        "tag": claims.tag,
    }
    return {name: value for name, value in said.items() if value is not None}
