"""What does the issuer count?  Tokens, refusals, faults and its keys; labels only from its own files."""

from collections.abc import Callable, Collection

from prometheus_client import CollectorRegistry, Counter, Gauge

from ott_extauthz.issuer.key_change import KeyChange, KeyState
from ott_extauthz.issuer.oauth_error import OAuthErrorCode
from ott_extauthz.issuer.order import ring_title
from ott_extauthz.observe.departures import Labelled, Series, forget_series
from ott_extauthz.observe.left_out import LeftOut, LinesLeftOut
from ott_extauthz.observe.metrics import key_set_reloads
from ott_extauthz.observe.signing_keys import SigningKeys
from ott_extauthz.observe.store_gauges import StoreGauges

UNKNOWN_CLIENT = "unknown"


class IssuerMetrics:
    """The issuer's metrics, in a registry of their own."""

    def __init__(self, now_ms: Callable[[], int], *, max_skew_ms: int = 0) -> None:
        """``now_ms`` is the clock that ages are told by, ``max_skew_ms`` how far a store's may differ."""
        self.registry = registry = CollectorRegistry()
        self._issued = Counter("ott_tokens_issued", "Tokens minted.", ["client", "audience"], registry=registry)
        self._refused = Counter(
            "ott_token_requests_refused", "Token requests refused.", ["client", "error"], registry=registry
        )
        self._failures = Counter(
            "ott_client_authentication_failures",
            "Failed client authentications, by the client whose name was used; limited: not even looked at.",
            ["client", "limited"],
            registry=registry,
        )
        self._faults = Counter("ott_issuer_errors", "Faults of the issuer, by type.", ["type"], registry=registry)
        self._rotations = Counter(
            "ott_key_rotations", "Active keys replaced, as this process saw it.", ["ring"], registry=registry
        )
        self._ring_failures = Counter(
            "ott_key_ring_failures",
            "Times a ring could not be followed or turned; the keys in force stay.",
            ["ring"],
            registry=registry,
        )
        self._audit = Counter("ott_issuer_audit_records", "Lines written to the issuer's audit.", registry=registry)
        self._audit_failures = Counter(
            "ott_issuer_audit_failures",
            "Lines that could not be written; where the audit is required, a token that is not there went to nobody.",
            registry=registry,
        )
        self._audit_stuck = Gauge(
            "ott_issuer_audit_rotation_failing",
            "1 while the issuer's audit file cannot be followed or rotated and lines go on into the open one.",
            registry=registry,
        )  # fmt: skip
        self._reloads = Counter(
            "ott_issuer_reloads",
            "Changed clients: loaded, refused (the old ones stay) or unchanged.",
            ["result"],
            registry=registry,
        )
        self._key_set_reloads = key_set_reloads(registry)
        self._left_out = LinesLeftOut(registry)
        self._by_label: Labelled = {
            "client": (self._issued, self._refused, self._failures),
            "audience": (self._issued,),
        }
        self._keys = SigningKeys(now_ms)
        registry.register(self._keys)
        self.store = StoreGauges(registry, max_skew_ms=max_skew_ms)

    def forget(self, gone: Collection[Series]) -> None:
        """Let go of series that are shown no more."""
        forget_series(gone, self._by_label)
        self.store.forget(gone)

    def key_changed(self, change: KeyChange) -> None:
        """Count a rotation, and show the keys as they are now."""
        if change.before is KeyState.ACTIVE:
            self._rotations.labels(ring_title(change.ring)).inc()
        self._keys.key_changed(change)

    def ring_failed(self, ring: str, problem: str) -> None:  # noqa: ARG002 - the log has it
        """Count a failure; what it was stands in the log."""
        self._ring_failures.labels(ring_title(ring)).inc()

    def issued(self, client: str, audience: str, count: int = 1, **_: object) -> None:
        """Count tokens; both labels are from ``clients.yaml``, and a trace is none."""
        self._issued.labels(client, audience).inc(count)

    def refused(self, client: str | None, error: OAuthErrorCode, **_: object) -> None:
        """Count a refusal; until it is authenticated a client has no name."""
        self._refused.labels(client or UNKNOWN_CLIENT, error).inc()

    def authentication_failed(self, client: str | None, *, is_limited: bool, **_: object) -> None:
        """Count a failure under a configured client's name, or under none."""
        self._failures.labels(client or UNKNOWN_CLIENT, str(is_limited).lower()).inc()

    def audit_written(self) -> None:
        """Count a line of the audit."""
        self._audit.inc()

    def audit_failed(self) -> None:
        """Count a line that is not in the audit."""
        self._audit_failures.inc()

    def audit_stays(self, *, is_stuck: bool) -> None:
        """Show whether the audit's file could not be followed or rotated."""
        self._audit_stuck.set(is_stuck)

    def log_left_out(self, what: LeftOut) -> None:
        """Count a line that is not in the log."""
        self._left_out.left_out(what)

    def clients_reloaded(self, result: str) -> None:
        """Count a reload of the clients."""
        self._reloads.labels(result).inc()

    def key_set_reloaded(self, issuer: str, result: str) -> None:
        """Count a reload of a foreign issuer's key set."""
        self._key_set_reloads.labels(issuer, result).inc()

    def faulted(self, error_type: str) -> None:
        """Count a fault of ours."""
        self._faults.labels(error_type).inc()
