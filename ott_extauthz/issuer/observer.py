"""Who listens to the issuer?  Metrics and audit, told in the domain's words."""

from typing import Protocol

from ott_extauthz.issuer.key_change import KeyListener
from ott_extauthz.issuer.oauth_error import OAuthErrorCode


class IssuerObserver(KeyListener, Protocol):
    """Listens to token requests and key rings.  A listener keeps its troubles to itself; it never changes an answer.

    ``trace_id`` names the trace that a request belongs to, None where it belongs to none.
    """

    def issued(self, client: str, audience: str, count: int = 1, *, trace_id: str | None = None) -> None:
        """Take note of tokens that were minted for a configured client and one of its audiences."""
        ...

    def refused(self, client: str | None, error: OAuthErrorCode, *, trace_id: str | None = None) -> None:
        """Take note of a refusal; ``client`` is None until the client is authenticated, so no caller chooses it."""
        ...

    def authentication_failed(self, client: str | None, *, is_limited: bool, trace_id: str | None = None) -> None:
        """Take note of somebody who was not ``client``, one of ours (None: of no client of ours), but said so.

        ``is_limited`` when nothing was looked at, for too many failures before.  ``refused`` is told besides.
        """
        ...

    def faulted(self, error_type: str) -> None:
        """Take note of a fault of ours, by the error's type; its message may quote what a client sent."""
        ...
