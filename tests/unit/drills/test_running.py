from collections import Counter
from typing import cast

import pytest

from ott_extauthz.demo.programs import ProgramError
from ott_extauthz.drills import running
from ott_extauthz.drills.conduct import Conduct
from ott_extauthz.drills.drill import Result, Verdict
from ott_extauthz.drills.ground import Ground, Sent
from ott_extauthz.drills.outcome import PASSES, refused
from ott_extauthz.drills.store_server import WHY_NONE
from ott_extauthz.model.reason import Reason
from tests.unit.drills.grounds import FakeGround, denied, drill, nothing, passed


async def _carried_out(run: object, ground: FakeGround) -> Result:
    return await running.carried_out(drill(run), ground.as_ground, lambda _: None)


async def _expired(conduct: Conduct) -> None:
    ground = cast("FakeGround", conduct.ground)
    await conduct.see("old", ground.call(denied(401, "token_expired")), refused(Reason.TOKEN_EXPIRED))


async def _wrongly_expected(conduct: Conduct) -> None:
    ground = cast("FakeGround", conduct.ground)
    await conduct.see("old", ground.call(denied(401, "token_expired")), PASSES)


async def test_a_drill_whose_calls_and_metric_are_as_expected_is_so() -> None:
    found = await _carried_out(_expired, FakeGround(audit={"d-1": "token_expired"}))
    assert found.verdict is Verdict.AS_EXPECTED
    assert len(found.observations) == 2


async def test_a_wrong_expectation_makes_the_drill_differ() -> None:
    found = await _carried_out(_wrongly_expected, FakeGround(audit={"d-1": "token_expired"}))
    assert found.verdict is Verdict.DIFFERS


async def test_a_metric_that_does_not_grow_makes_the_drill_differ() -> None:
    """What its operator would watch does not show it: then the drill has not shown what it promises."""
    ground = FakeGround(audit={"d-1": "token_expired"}, counts=iter((3, 3)))
    found = await _carried_out(_expired, ground)
    assert found.verdict is Verdict.DIFFERS
    assert found.observations[-1].seen == "does not grow"


async def test_a_drill_that_breaks_off_differs_and_says_why() -> None:
    async def breaks_off(_conduct: Conduct) -> None:
        raise ProgramError("the store did not come up")

    found = await _carried_out(breaks_off, FakeGround())
    assert found.verdict is Verdict.DIFFERS
    assert found.observations[-1].seen == "the store did not come up"


async def test_without_a_store_a_drill_that_needs_one_is_skipped_and_says_why() -> None:
    found = await running.carried_out(drill(needs_store=True), FakeGround().as_ground, lambda _: None)
    assert (found.verdict, found.why) == (Verdict.SKIPPED, WHY_NONE)


async def test_with_a_store_it_is_not_skipped() -> None:
    ground = FakeGround(store=object())
    found = await running.carried_out(drill(nothing, needs_store=True), ground.as_ground, lambda _: None)
    assert found.verdict is Verdict.AS_EXPECTED  # its metric grew


def test_a_drill_that_saw_nothing_is_no_success() -> None:
    assert Result(drill=drill(), observations=(), seconds=0).verdict is Verdict.DIFFERS


async def test_all_are_carried_out_in_order_even_after_one_differs() -> None:
    told: list[str] = []
    ground = FakeGround(audit={"d-1": "token_expired"}, counts=iter((0, 1, 1, 2)))
    found = await running.all_carried_out(
        [drill(_wrongly_expected, name="first"), drill(_expired, name="then")],
        ground.as_ground,
        begin=lambda each: told.append(each.name),
        tell=lambda one: told.append(one.seen),
        end=lambda each: told.append(each.verdict),
    )
    assert told == [
        "first", "401 token_expired", "grows", "differs", "then", "401 token_expired", "grows", "as expected",
    ]  # fmt: skip
    assert [each.verdict for each in found] == [Verdict.DIFFERS, Verdict.AS_EXPECTED]


class _Gateways(FakeGround):
    gateways = {"first": 1, "second": 2, "full": 3}  # noqa: RUF012 - the test changes nothing

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self.refusals, self.tried = refusals, Counter[str]()

    async def token(self) -> str:
        return "t"

    async def debit(self, _token: str, *, through: str) -> Sent:
        self.tried[through] += 1
        self.refusals -= 1
        return Sent("c", denied(401, "store_epoch") if self.refusals >= 0 else passed())


async def test_it_waits_until_fresh_tokens_pass_at_every_gateway_whose_audit_can_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(running, "_POLL", 0)
    ground = _Gateways(refusals=3)
    await running.settled(cast("Ground", ground))
    assert set(ground.tried) == {"first", "second"}
    assert sum(ground.tried.values()) == 5


async def test_a_ground_that_never_settles_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "PATIENCE", -1)
    with pytest.raises(ProgramError, match="no fresh token gets through"):
        await running.settled(cast("Ground", _Gateways(refusals=1_000)))
