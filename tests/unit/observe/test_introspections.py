"""Questions are counted by issuer and result, and by nothing that a caller chooses."""

from prometheus_client import CollectorRegistry

from ott_extauthz.check.introspecting import IntrospectionResult
from ott_extauthz.observe.introspections import IntrospectionMetrics


def test_questions_are_counted_by_how_they_ended() -> None:
    registry, faults = CollectorRegistry(), list[str]()
    metrics = IntrospectionMetrics(registry, on_fault=faults.append)
    for result in IntrospectionResult:
        metrics.introspected("https://login.bank.example", result)
    metrics.introspected("https://login.bank.example", IntrospectionResult.ACTIVE)
    metrics.introspection_took("https://login.bank.example", 0.02)
    metrics.faulted("RuntimeError")
    labels = {"issuer": "https://login.bank.example"}
    assert registry.get_sample_value("ott_introspections_total", labels | {"result": "active"}) == 2
    assert registry.get_sample_value("ott_introspections_total", labels | {"result": "paused"}) == 1
    assert registry.get_sample_value("ott_introspection_seconds_sum", labels) == 0.02
    assert faults == ["RuntimeError"]
