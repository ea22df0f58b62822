"""What does the issuer log?  Refusals, key changes and faults as JSON lines; issued tokens are only counted."""

from ott_extauthz.issuer.key_change import KeyChange
from ott_extauthz.issuer.oauth_error import OAuthErrorCode
from ott_extauthz.issuer.order import ring_title
from ott_extauthz.observe.log import Logger


class IssuerLog:
    """Logs what went wrong at the token endpoint."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger

    def issued(self, client: str, audience: str, count: int = 1, *, trace_id: str | None = None) -> None:
        """Log who got a token for what, for whoever asked for debug lines."""
        self._logger.debug("token issued", trace_id=trace_id, client_id=client, audience=audience, count=count)

    def refused(self, client: str | None, error: OAuthErrorCode, *, trace_id: str | None = None) -> None:
        """Log a refusal; ``client_id`` is there only when the client was authenticated."""
        self._logger.info("token refused", trace_id=trace_id, client_id=client, error=error)

    def key_changed(self, change: KeyChange) -> None:
        """Log a key's new state, whichever process brought it there; what was there at the start for debugging."""
        tell = self._logger.info if change.is_news else self._logger.debug
        tell(
            "signing key changed", ring=ring_title(change.ring), kid=change.kid, before=change.before,
            after=change.after,
        )  # fmt: skip

    def ring_failed(self, ring: str, problem: str) -> None:
        """Log what keeps a ring from being followed or turned, with the file and what to do."""
        self._logger.error("key ring failed", ring=ring_title(ring), problem=problem)

    def authentication_failed(self, client: str | None, *, is_limited: bool, trace_id: str | None = None) -> None:
        """Log whose name somebody failed under; what is not even looked at is counted, and fills no log."""
        if not is_limited:
            self._logger.warning("client authentication failed", trace_id=trace_id, claimed_client_id=client)

    def faulted(self, error_type: str) -> None:
        """Log a fault of ours by type."""
        self._logger.error("internal error", type=error_type)
