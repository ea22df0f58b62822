"""What is counted?  Prometheus metrics; no label takes a value that a caller chooses."""

import platform
from collections.abc import Callable, Collection
from functools import cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ott_extauthz import __version__
from ott_extauthz.model.decision import Allow, Attached, AttachedToken, Decision, Deny
from ott_extauthz.model.facts import Facts
from ott_extauthz.model.reason import Code, Reason
from ott_extauthz.observe.departures import Labelled, Series, forget_series
from ott_extauthz.observe.exemplars import Exemplars
from ott_extauthz.observe.left_out import LeftOut, LinesLeftOut
from ott_extauthz.observe.store_gauges import StoreGauges
from ott_extauthz.policy.document import Policy
from ott_extauthz.ports import CheckRecord, ShadowRecord, UsedListFault

NO_ROUTE: Final = "none"
NO_CLIENT: Final = "none"
OTHER_CLIENT: Final = "other"
NO_REGION: Final = "none"
ALLOWED: Final = "OK"
SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0)
LEFT_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1.0)


class Metrics:
    """The server's metrics, in a registry of their own.

    ``clients`` are the clients that the policy, the partners and the API keys name: others share one label value.
    ``max_skew_ms`` is how far the clock of a store's server may differ.
    """

    def __init__(
        self,
        *,
        transport: str,
        region: str | None = None,
        clients: Callable[[], frozenset[str]] = frozenset,
        max_skew_ms: int = 0,
    ) -> None:
        self.registry = registry = CollectorRegistry()
        self.exemplars = Exemplars(SECONDS)
        self._region, self.clients = region or NO_REGION, clients
        checks = Counter("ott_checks", "Checks answered.", ["route", "outcome", "code"], registry=registry)
        seconds = Histogram(
            "ott_check_seconds", "From request to decision.", ["route", "outcome"], buckets=SECONDS, registry=registry
        )
        self._left = Histogram(
            "ott_check_seconds_left", "What Envoy's deadline, 1 s at most, left when the Check began.",
            buckets=LEFT_SECONDS, registry=registry,
        )  # fmt: skip
        client_checks = Counter(
            "ott_client_checks", "Checks by the client that was proven: none, other (not in our files), or its name.",
            ["client", "region", "outcome"], registry=registry,
        )  # fmt: skip
        self._conflicts = Counter(
            "ott_certificate_conflicts", "Requests whose connection and XFCC speak of different certificates.",
            registry=registry,
        )  # fmt: skip
        self._repeats = Counter(
            "ott_reservation_hits", "Checks let through as the repetition of one that this process let through.",
            registry=registry,
        )  # fmt: skip
        denials = Counter("ott_denials", "Checks refused, by exact reason.", ["route", "reason"], registry=registry)
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
        self._spend = Histogram("ott_spend_seconds", "Time in the used-list.", buckets=SECONDS, registry=registry)
        self._store_errors = Counter("ott_store_errors", "Faults of the used-list.", ["kind"], registry=registry)
        for fault in UsedListFault:
            self._store_errors.labels(fault)
        self._audit = Counter("ott_audit_records", "Decisions written to the audit.", registry=registry)
        self._audit_failures = Counter("ott_audit_failures", "Decisions that could not be written.", registry=registry)
        self._audit_stuck = Gauge(
            "ott_audit_rotation_failing",
            "1 while the audit's file cannot be followed or rotated and the open one is written to; of several, any.",
            registry=registry, multiprocess_mode="livemax",
        )  # fmt: skip
        self._left_out = LinesLeftOut(registry)
        self._faults = Counter("ott_internal_errors", "Faults of ours, by type.", ["type"], registry=registry)
        self._policy_reloads = Counter(
            "ott_policy_reloads", "Changed policies: loaded, refused (the old one stays) or unchanged.",
            ["policy", "result"], registry=registry,
        )  # fmt: skip
        self._key_set_reloads = key_set_reloads(registry)
        # Asked for at every Check, and as many as there are series: finding one costs 1 µs, remembering it a tenth.
        self._checks_of, self._seconds_of = cache(checks.labels), cache(seconds.labels)
        self._denials_of, self._client_checks_of = cache(denials.labels), cache(client_checks.labels)
        self._by_label: Labelled = {
            "route": (
                checks, seconds, denials, self._attached, self._signed, self._replays, self._shadows,
                self._disagreements,
            ),
            "client": (client_checks,),
            "audience": (self._attached,),
        }  # fmt: skip
        build = Gauge(
            "ott_build_info", "Always 1.", ["version", "python", "transport"], registry=registry,
            multiprocess_mode="max",
        )  # fmt: skip
        build.labels(__version__, platform.python_version(), transport).set(1)
        self.store = StoreGauges(registry, max_skew_ms=max_skew_ms)

    def expect(self, policy: Policy) -> None:
        """Begin at 0 what an alarm is raised by: the first of a route would be seen by no ``increase`` else."""
        for route in policy.table.routes:
            self._replays.labels(route.name)
            self._checks_of(route.name, "allow", ALLOWED)
            self._checks_of(route.name, "deny", Code.UNAVAILABLE)

    def forget(self, gone: Collection[Series]) -> None:
        """Let go of series that are shown no more, in the thread that counts; where one counts again it begins at 0.

        A worker does not: what it has counted stays in its file, and its parent alone knows what is shown.
        """
        forget_series(gone, self._by_label)
        self.store.forget(gone)
        self.exemplars.forget({name for label, name in gone if label == "route"})
        for found in (self._checks_of, self._seconds_of, self._denials_of, self._client_checks_of):
            found.cache_clear()

    def decided(self, record: CheckRecord) -> None:
        """Count one decision."""
        decision = record.decision
        route, outcome = decision.route or NO_ROUTE, _outcome(decision)
        self._seconds_of(route, outcome).observe(record.seconds)
        self._left.observe(record.seconds_left)
        self._client_checks_of(self._client(decision), self._region, outcome).inc()
        if isinstance(record.facts, Facts):
            self.exemplars.decided(record, route, outcome)
            if record.facts.peer.certificate is Reason.CERTIFICATE_CONFLICT:
                self._conflicts.inc()
        if isinstance(decision, Allow):
            self._checks_of(route, "allow", ALLOWED).inc()
            if decision.attached is not None:
                self._count_attached(route, decision.attached)
            if decision.would_be is not None:
                self._shadow("route", decision.would_be)
            return
        self._checks_of(route, "deny", decision.meaning.code).inc()
        self._denials_of(route, decision.reason).inc()

    def _client(self, decision: Decision) -> str:
        token = decision.token if isinstance(decision, Deny) else None
        if isinstance(decision, Allow) and decision.spent is not None:
            token = decision.spent.token
        if token is None:
            return NO_CLIENT
        return token.client_id if token.client_id in self.clients() else OTHER_CLIENT

    def _count_attached(self, route: str, attached: Attached) -> None:
        if isinstance(attached, AttachedToken):
            self._attached.labels(route, attached.audience).inc()
        else:
            self._signed.labels(route, attached.key).inc()

    def repeated(self) -> None:
        """Count a Check that was let through again."""
        self._repeats.inc()

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

    def log_left_out(self, what: LeftOut) -> None:
        """Count a line that is not in the log."""
        self._left_out.left_out(what)

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

    def audit_stays(self, *, is_stuck: bool) -> None:
        """Show whether the audit's file could not be followed or rotated."""
        self._audit_stuck.set(is_stuck)

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
