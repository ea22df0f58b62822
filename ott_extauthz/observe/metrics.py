"""What is counted?  Prometheus metrics; no label takes a value that a caller chooses."""

import os
import platform
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector

from ott_extauthz import __version__
from ott_extauthz.model.decision import Allow
from ott_extauthz.ports import CheckRecord, UsedListFault

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
        self._replays = Counter("ott_replays", "Second uses of a token.", ["route"], registry=registry)
        self._spend = Histogram("ott_spend_seconds", "Time in the used-list.", buckets=_SECONDS, registry=registry)
        self._store_errors = Counter("ott_store_errors", "Faults of the used-list.", ["kind"], registry=registry)
        self._audit = Counter("ott_audit_records", "Decisions written to the audit.", registry=registry)
        self._audit_failures = Counter("ott_audit_failures", "Decisions that could not be written.", registry=registry)
        self._faults = Counter("ott_internal_errors", "Faults of ours, by type.", ["type"], registry=registry)
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
            return
        self._checks.labels(route, "deny", decision.meaning.code).inc()
        self._seconds.labels(route, "deny").observe(record.seconds)
        self._denials.labels(route, decision.reason).inc()

    def replayed(self, record: CheckRecord) -> None:
        """Count a second use."""
        self._replays.labels(record.decision.route or NO_ROUTE).inc()

    def faulted(self, error_type: str) -> None:
        """Count a fault of ours."""
        self._faults.labels(error_type).inc()

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


def exposition(registry: CollectorRegistry) -> tuple[bytes, str]:
    """Return the registry's metrics as text, and its content type."""
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


def workers_registry() -> CollectorRegistry:
    """Return a registry that sums the values of all workers of this folder."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=os.environ[WORKERS_FOLDER])  # type: ignore[no-untyped-call]
    return registry
