"""The time in each step adds up to the time from a Check's arrival to its answer."""

import math

from prometheus_client import CollectorRegistry

from ott_extauthz.model.reason import Reason
from ott_extauthz.model.step import Step
from ott_extauthz.observe.step_times import StepTimes
from ott_extauthz.observe.timing import Timed
from ott_extauthz.ports import CheckRecord
from tests.fakes.desk import Desk


async def _record() -> CheckRecord:
    desk = Desk()
    await desk.ask(desk.facts())
    return desk.observer.records[0]


async def _timed() -> Timed:
    record = await _record()
    record.began, record.seconds = 10.0, 0.6
    record.marks = [(Step.ROUTE, 10.0), (Step.CREDENTIAL, 10.1), (Step.VERIFY, 10.3)]
    return Timed(9.95, record=record, told=10.63, answered=10.65)


async def test_every_step_has_the_time_until_the_next_and_all_of_them_that_of_the_check() -> None:
    registry = CollectorRegistry()
    StepTimes(registry).answered(await _timed())
    wanted = {
        "decode": 0.05, "route": 0.1, "credential": 0.2, "verify": 0.3, "audit": 0.03, "encode": 0.02, "spend": 0.0,
    }  # fmt: skip
    for step, seconds in wanted.items():
        found = registry.get_sample_value("ott_check_step_seconds_sum", {"step": step})
        assert found is not None
        assert math.isclose(found, seconds, abs_tol=1e-9), step
    assert math.isclose(sum(wanted.values()), 10.65 - 9.95)


async def test_a_check_that_nobody_waits_for_any_more_has_no_answer_to_make() -> None:
    registry, timed = CollectorRegistry(), await _timed()
    assert timed.record is not None
    timed.record.decision = Desk().checker.begin().deny_for_fault(Reason.CHECK_CANCELLED)
    StepTimes(registry).answered(timed)
    count = registry.get_sample_value
    assert count("ott_check_step_seconds_count", {"step": "audit"}) == 1
    assert count("ott_check_step_seconds_count", {"step": "encode"}) == 0


async def test_a_check_that_came_to_no_decision_has_no_steps() -> None:
    registry = CollectorRegistry()
    StepTimes(registry).answered(Timed(9.95))
    samples = [sample for family in registry.collect() for sample in family.samples]
    assert {sample.labels["step"] for sample in samples} == {*Step, "audit", "encode"}, "each is there from the start"
    assert all(sample.value == 0 for sample in samples if not sample.name.endswith("_created"))
