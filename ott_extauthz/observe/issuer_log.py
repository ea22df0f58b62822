"""What does the issuer log?  Refusals and faults as JSON lines; issued tokens are counted, and named nowhere."""

from ott_extauthz.issuer.oauth_error import OAuthErrorCode
from ott_extauthz.observe.log import Logger


class IssuerLog:
    """Logs what went wrong at the token endpoint."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger

    def issued(self, client: str, audience: str) -> None:
        """Log who got a token for what, for whoever asked for debug lines."""
        self._logger.debug("token issued", client_id=client, audience=audience)

    def refused(self, client: str | None, error: OAuthErrorCode) -> None:
        """Log a refusal; ``client_id`` is there only when the client was authenticated."""
        self._logger.info("token refused", client_id=client, error=error)

    def faulted(self, error_type: str) -> None:
        """Log a fault of ours by type."""
        self._logger.error("internal error", type=error_type)
