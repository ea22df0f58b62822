"""A worker that does not serve shows."""

from prometheus_client import CollectorRegistry

from ott_extauthz.observe.workers import WorkersServing


def test_workers_are_counted_by_whether_they_serve() -> None:
    registry, states = CollectorRegistry(), [True, False, True]
    registry.register(WorkersServing(lambda: states))
    assert registry.get_sample_value("ott_workers", {"serving": "yes"}) == 2
    assert registry.get_sample_value("ott_workers", {"serving": "no"}) == 1
