"""How do questions to token issuers end?  Counted by issuer and result, both from closed lists."""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from ott_extauthz.check.introspecting import IntrospectionResult

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class IntrospectionMetrics:
    """The counters; ``on_fault`` is told of faults of ours."""

    def __init__(self, registry: CollectorRegistry, *, on_fault: Callable[[str], None]) -> None:
        self._ended = Counter(
            "ott_introspections", "Questions of Checks about opaque tokens, by how they ended.",
            ["issuer", "result"], registry=registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "ott_introspection_seconds", "What the issuer needed for an answer, or for none.",
            ["issuer"], buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._on_fault = on_fault

    def introspected(self, issuer: str, result: IntrospectionResult) -> None:
        """Count one."""
        self._ended.labels(issuer, result).inc()

    def introspection_took(self, issuer: str, seconds: float) -> None:
        """Observe the issuer's time."""
        self._seconds.labels(issuer).observe(seconds)

    def faulted(self, error_type: str) -> None:
        """Count a fault of ours."""
        self._on_fault(error_type)
