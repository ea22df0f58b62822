"""What does the issuer count?  Tokens, refusals, faults and the age of its key; labels only from its own files."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

from ott_extauthz.issuer.oauth_error import OAuthErrorCode

UNKNOWN_CLIENT = "unknown"


class IssuerMetrics:
    """The issuer's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._issued = Counter("ott_tokens_issued", "Tokens minted.", ["client", "audience"], registry=registry)
        self._refused = Counter(
            "ott_token_requests_refused", "Token requests refused.", ["client", "error"], registry=registry
        )
        self._faults = Counter("ott_issuer_errors", "Faults of the issuer, by type.", ["type"], registry=registry)
        self._key_age = Gauge(
            "ott_signing_key_age_seconds", "Since the key was made.", ["kid", "state"], registry=registry
        )

    def watch_key(self, kid: str, state: str, age_seconds: Callable[[], float]) -> None:
        """Show the age of a signing key, asked for at each scrape."""
        self._key_age.labels(kid, state).set_function(age_seconds)

    def issued(self, client: str, audience: str) -> None:
        """Count a token; both labels are from ``clients.yaml``."""
        self._issued.labels(client, audience).inc()

    def refused(self, client: str | None, error: OAuthErrorCode) -> None:
        """Count a refusal; until it is authenticated a client has no name."""
        self._refused.labels(client or UNKNOWN_CLIENT, error).inc()

    def faulted(self, error_type: str) -> None:
        """Count a fault of ours."""
        self._faults.labels(error_type).inc()
