"""The time in each step adds up to the Check's own."""

import math

from prometheus_client import CollectorRegistry

from ott_extauthz.model.step import Step
from ott_extauthz.observe.step_times import StepTimes
from ott_extauthz.ports import CheckRecord
from tests.fakes.desk import Desk


async def _record() -> CheckRecord:
    desk = Desk()
    await desk.ask(desk.facts())
    return desk.observer.records[0]


async def test_every_step_has_the_time_until_the_next_and_the_last_until_the_end() -> None:
    registry, record = CollectorRegistry(), await _record()
    times = StepTimes(registry)
    record.began, record.seconds = 10.0, 0.6
    record.marks = [(Step.ROUTE, 10.0), (Step.CREDENTIAL, 10.1), (Step.VERIFY, 10.3)]
    times.decided(record)
    times.decoded(0.05)
    times.encoded(0.02)
    wanted = {"route": 0.1, "credential": 0.2, "verify": 0.3, "decode": 0.05, "encode": 0.02}
    for step, seconds in wanted.items():
        found = registry.get_sample_value("ott_check_step_seconds_sum", {"step": step})
        assert found is not None
        assert math.isclose(found, seconds, abs_tol=1e-9), step


async def test_a_check_without_marks_has_no_steps() -> None:
    registry, record = CollectorRegistry(), await _record()
    StepTimes(registry).decided(record)
    samples = [sample for family in registry.collect() for sample in family.samples]
    assert {sample.labels["step"] for sample in samples} == {*Step, "encode"}, "every series is there from the start"
    assert all(sample.value == 0 for sample in samples if not sample.name.endswith("_created"))
