"""What did Envoy tell us?  One CheckRequest as plain values, or the reason why it is not one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NewType

from ott_extauthz.model.body import NO_BODY, Body
from ott_extauthz.model.reason import Reason

Headers = Mapping[str, tuple[str, ...]]
"""Lower-case name to every value in order of arrival; values are bytes read as latin-1, so nothing is lost."""

Thumbprint = NewType("Thumbprint", bytes)
"""SHA-256 over a certificate's DER, 32 bytes (RFC 8705 §3.1 ``x5t#S256``; the same bytes as XFCC's ``Hash``)."""


def is_ours(name: str) -> bool:
    """Whether a header's name is in our own family: ``x-ott`` and ``x-ott-…``, but not ``x-otter``."""
    return name == "x-ott" or name.startswith("x-ott-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The caller as the proxy saw it.

    ``certificate`` is a thumbprint under the configured trust rule, or the reason why there is none; a fault of any
    kind is never a certificate.  ``principal`` is what Envoy verified: the first URI SAN, else DNS, else subject.
    ``der`` is the certificate itself, where it came whole.  ``is_proven`` is False where trust domains are listed and
    ``principal`` is not a SPIFFE ID that its own domain signed; then it is a name to write down, and nobody's.
    """

    address: str
    port: int
    principal: str
    certificate: Thumbprint | Reason
    der: bytes | None = field(default=None, repr=False)
    is_proven: bool = True

    @property
    def proven_principal(self) -> str:
        """The principal, where it counts; else empty, which names nobody."""
        return self.principal if self.is_proven else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One HTTP request as Envoy describes it; nothing here has been judged yet.

    ``stream_id`` (Envoy's own, not x-request-id) and ``started_at_us`` name the request together with the peer's
    address and port; no client controls them.  ``metadata`` is what filters of Envoy's own left for us, by namespace;
    no header ever gets there by itself.  ``envoy_traceparent`` is what Envoy sent with the Check about its own span.
    """

    method: str
    scheme: str
    host: str
    path: str
    headers: Headers
    peer: Peer
    stream_id: str
    started_at_us: int
    context_extensions: Mapping[str, str]
    body: Body = NO_BODY
    metadata: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    envoy_traceparent: str = ""

    @property
    def is_grpc(self) -> bool:
        """Whether the caller speaks gRPC, which turns a refusal's body into ``grpc-message``."""
        return any(value.startswith("application/grpc") for value in self.headers.get("content-type", ()))


def spoofed(facts: Facts) -> tuple[str, ...]:
    """Every header the client sent in our family; what we set ourselves is taken out again by the encoder."""
    return tuple(filter(is_ours, facts.headers))


@dataclass(frozen=True, slots=True)
class Malformed:
    """A CheckRequest that cannot be decided on, and why; it is refused, never guessed at."""

    reason: Reason
    envoy_traceparent: str = ""
