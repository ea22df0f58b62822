"""What does a route ask of a credential that is no token?"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.message_component import Component
from ott_extauthz.policy.pointer import Pointer

DEFAULT_WINDOW_MS: Final = 300_000
DEFAULT_AHEAD_MS: Final = 30_000
CONTENT_DIGEST: Final = "content-digest"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTerms:
    """Where a signed request names its event, by exactly one of a header and a JSON pointer into the body.

    ``repeat_status`` is the answer to an event that was delivered before: 409, or 200 for senders that would go on.
    """

    header: str | None = None
    pointer: Pointer | None = None
    kept_ms: int
    repeat_status: int = 409


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequestTerms:
    """Whose signatures are taken (None: of any partner), how old, over what (RFC 9421 components), for what.

    ``ahead_ms`` is how far the signed instant may lie ahead.  What is good before its time must be refused for as long
    after a store that forgot: a window as wide as the one behind us would keep honest senders out for minutes.
    """

    partners: frozenset[str] | None = None
    window_ms: int = DEFAULT_WINDOW_MS
    ahead_ms: int = DEFAULT_AHEAD_MS
    components: tuple[Component, ...] = ()
    tag: str | None = None
    event: EventTerms | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningTerms:
    """How a request that leaves is signed: with which key of the server's, which knows its form; None: the form's way.

    ``components`` are covered in this order, ``expires_ms`` is how long the signature holds, ``tag`` names the
    application (RFC 9421); ``keep_id``: the id that the workload gave its own message stays (Standard Webhooks).
    """

    key: str
    components: tuple[Component, ...] | None = None
    expires_ms: int | None = None
    tag: str | None = None
    keep_id: bool = False

    @property
    def covers_body(self) -> bool:
        """Whether the body is signed: in every form, unless the components leave its digest out."""
        return self.components is None or CONTENT_DIGEST in (each.name for each in self.components)

    @property
    def signed_headers(self) -> tuple[str, ...]:
        """The headers that are signed and that the workload must have sent."""
        names = (each.name for each in self.components or ())
        return tuple(name for name in names if not name.startswith("@") and name != CONTENT_DIGEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedSpan:
    """How long a signed request is good on any route of a policy: what is spent on one is spent for all of them."""

    window_ms: int = DEFAULT_WINDOW_MS
    ahead_ms: int = DEFAULT_AHEAD_MS


def widest_span(terms: Iterable[SignedRequestTerms]) -> SignedSpan:
    """Return the widest of every route's window, before and after the signed instant."""
    spans = [SignedSpan(window_ms=each.window_ms, ahead_ms=each.ahead_ms) for each in terms] or [SignedSpan()]
    return SignedSpan(window_ms=max(one.window_ms for one in spans), ahead_ms=max(one.ahead_ms for one in spans))


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateTerms:
    """Which callers come in by their certificate alone: one of these is enough; None means that none is listed."""

    spiffe_ids: frozenset[str] | None = None
    certificates: frozenset[Thumbprint] | None = None
    dns_names: frozenset[str] | None = None
