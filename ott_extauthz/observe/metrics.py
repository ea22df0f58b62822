"""What is counted?  Prometheus metrics; no label takes a value that a caller chooses."""

import os
import platform
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector

from ott_extauthz import __version__
from ott_extauthz.model.decision import Allow, Attached, AttachedToken, Decision, Deny
from ott_extauthz.ports import CheckRecord, ShadowRecord, UsedListFault

WORKERS_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Set by the parent of several workers: each keeps its values in this folder and the parent shows their sum."""

NO_ROUTE: Final = "none"
ALLOWED: Final = "OK"
_SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class Metrics:
    """The server's metrics, in a registry of their own."""

    def __init__(self, *, transport: str) -> None:
        self.registry = registry = CollectorRegistry()
        self._checks = Counter("ott_checks", "Checks answered.", ["route", "outcome", "code"], registry=registry)
        self._seconds = Histogram(
            "ott_check_seconds", "From request to decision.", ["route", "outcome"], buckets=_SECONDS, registry=registry
        )
        self._denials = Counter(
            "ott_denials", "Checks refused, by exact reason.", ["route", "reason"], registry=registry
        )
        self._attached = Counter(
            "ott_tokens_attached", "Requests that left with a token.", ["route", "audience"], registry=registry
        )
        self._signed = Counter(
            "ott_requests_signed", "Requests that left with a signature.", ["route", "key"], registry=registry
        )
        self._replays = Counter(
            "ott_replays", "Second uses of a token, a proof or a signature.", ["route"], registry=registry
        )
        self._shadows = Counter(
            "ott_shadow_decisions", "What would have been answered, by a route in shadow or a shadow policy.",
            ["by", "route", "outcome", "code"], registry=registry,
        )  # fmt: skip
        self._disagreements = Counter(
            "ott_shadow_disagreements", "Answers that the shadow policy would have given otherwise.",
            ["route", "outcome"], registry=registry,
        )  # fmt: skip
        self._skipped = Counter(
            "ott_shadow_skipped", "Requests the shadow policy was not asked about: too many waited.", registry=registry
        )
        self._spend = Histogram("ott_spend_seconds", "Time in the used-list.", buckets=_SECONDS, registry=registry)
        self._store_errors = Counter("ott_store_errors", "Faults of the used-list.", ["kind"], registry=registry)
        self._audit = Counter("ott_audit_records", "Decisions written to the audit.", registry=registry)
        self._audit_failures = Counter("ott_audit_failures", "Decisions that could not be written.", registry=registry)
        self._left_out = Counter(
            "ott_log_lines_left_out", "Refusals and replays that were not logged: too many in a second.", ["what"],
            registry=registry,
        )  # fmt: skip
        self._faults = Counter("ott_internal_errors", "Faults of ours, by type.", ["type"], registry=registry)
        self._policy_reloads = Counter(
            "ott_policy_reloads", "Changed policies: loaded, refused (the old one stays) or unchanged.",
            ["policy", "result"], registry=registry,
        )  # fmt: skip
        self._key_set_reloads = key_set_reloads(registry)
        build = Gauge(
            "ott_build_info", "Always 1.", ["version", "python", "transport"], registry=registry,
            multiprocess_mode="max",
        )  # fmt: skip
        build.labels(__version__, platform.python_version(), transport).set(1)

    def decided(self, record: CheckRecord) -> None:
        """Count one decision."""
        decision = record.decision
        route = decision.route or NO_ROUTE
        if isinstance(decision, Allow):
            self._checks.labels(route, "allow", ALLOWED).inc()
            self._seconds.labels(route, "allow").observe(record.seconds)
            if decision.attached is not None:
                self._count_attached(route, decision.attached)
            if decision.would_be is not None:
                self._shadow("route", decision.would_be)
            return
        self._checks.labels(route, "deny", decision.meaning.code).inc()
        self._seconds.labels(route, "deny").observe(record.seconds)
        self._denials.labels(route, decision.reason).inc()

    def _count_attached(self, route: str, attached: Attached) -> None:
        if isinstance(attached, AttachedToken):
            self._attached.labels(route, attached.audience).inc()
        else:
            self._signed.labels(route, attached.key).inc()

    def replayed(self, record: CheckRecord) -> None:
        """Count a second use."""
        self._replays.labels(record.decision.route or NO_ROUTE).inc()

    def shadowed(self, record: ShadowRecord) -> None:
        """Count what a second policy would have answered."""
        self._shadow("policy", record.would_be)
        if record.disagrees:
            self._disagreements.labels(record.would_be.route or NO_ROUTE, _outcome(record.would_be)).inc()

    def shadow_skipped(self) -> None:
        """Count a request that a second policy was not asked about."""
        self._skipped.inc()

    def _shadow(self, by: str, would_be: Decision) -> None:
        code = would_be.meaning.code if isinstance(would_be, Deny) else ALLOWED
        self._shadows.labels(by, would_be.route or NO_ROUTE, _outcome(would_be), code).inc()

    def faulted(self, error_type: str) -> None:
        """Count a fault of ours."""
        self._faults.labels(error_type).inc()

    def log_left_out(self, what: str) -> None:
        """Count a line that is not in the log."""
        self._left_out.labels(what).inc()

    def spend_took(self, seconds: float) -> None:
        """Observe the used-list's time."""
        self._spend.observe(seconds)

    def store_failed(self, fault: UsedListFault) -> None:
        """Count a fault of the used-list."""
        self._store_errors.labels(fault).inc()

    def audit_written(self) -> None:
        """Count a line of the audit."""
        self._audit.inc()

    def audit_failed(self) -> None:
        """Count a line that is not in the audit."""
        self._audit_failures.inc()

    def policy_reloaded(self, policy: str, result: str) -> None:
        """Count a reload of a policy, enforced or shadow."""
        self._policy_reloads.labels(policy, result).inc()

    def key_set_reloaded(self, issuer: str, result: str) -> None:
        """Count a reload of a trusted issuer's key set."""
        self._key_set_reloads.labels(issuer, result).inc()


def _outcome(decision: Decision) -> str:
    return "allow" if isinstance(decision, Allow) else "deny"


def key_set_reloads(registry: CollectorRegistry) -> Counter:
    """Return the counter that a Check server and an issuer have under one name."""
    return Counter(
        "ott_key_set_reloads", "Changed key sets: loaded, refused (the old one stays) or unchanged.",
        ["issuer", "result"], registry=registry,
    )  # fmt: skip


def exposition(registry: CollectorRegistry) -> tuple[bytes, str]:
    """Return the registry's metrics as text, and its content type."""
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


def workers_registry() -> CollectorRegistry:
    """Return a registry that sums the values of all workers of this folder."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=os.environ[WORKERS_FOLDER])  # type: ignore[no-untyped-call]
    return registry
