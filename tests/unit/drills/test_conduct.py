import pytest

from ott_extauthz.drills import conduct as room
from ott_extauthz.drills.ground import Sent
from ott_extauthz.drills.outcome import NO_ANSWER, PASSES, refused
from ott_extauthz.model.reason import Reason
from tests.unit.drills.grounds import FakeGround, conduct_on, denied, passed

EXPIRED = refused(Reason.TOKEN_EXPIRED)


async def test_what_comes_out_as_expected_is_so_with_its_delivery_and_its_audit_line() -> None:
    ground = FakeGround(audit={"d-1": None, "d-2": "token_expired"})
    conduct = conduct_on(ground)
    await conduct.see("a good call", ground.call(passed(), arrives=1), PASSES)
    await conduct.see("a bad one", ground.call(denied(401, "token_expired", "d-2")), EXPIRED)
    await conduct.see("nobody there", ground.call(None), NO_ANSWER)
    assert [one.as_expected for one in conduct.observations] == [True, True, True]


async def test_another_reason_with_the_same_status_differs() -> None:
    ground = FakeGround(audit={"d-1": "token_replayed"})
    conduct = conduct_on(ground)
    await conduct.see("a bad call", ground.call(denied(401, "token_replayed")), EXPIRED)
    (seen,) = conduct.observations
    assert (seen.as_expected, seen.seen) == (False, "401 token_replayed")


async def test_a_call_that_got_through_differs() -> None:
    ground = FakeGround(audit={"d-1": None})
    conduct = conduct_on(ground)
    await conduct.see("a bad call", ground.call(passed(), arrives=1), EXPIRED)
    assert not conduct.observations[0].as_expected


async def test_a_refused_call_that_reached_the_service_all_the_same_differs() -> None:
    ground = FakeGround(audit={"d-1": "token_expired"})
    conduct = conduct_on(ground)
    await conduct.see("a bad call", ground.call(denied(401, "token_expired"), arrives=1), EXPIRED)
    assert conduct.observations[0].seen == "401 token_expired, but it reached the service 1 times"
    assert not conduct.observations[0].as_expected


@pytest.mark.parametrize("arrives", [0, 2])
async def test_an_allowed_call_that_did_not_arrive_exactly_once_differs(arrives: int) -> None:
    ground = FakeGround(audit={"d-1": None})
    conduct = conduct_on(ground)
    await conduct.see("a good call", ground.call(passed(), arrives=arrives), PASSES)
    assert not conduct.observations[0].as_expected


@pytest.mark.parametrize("audit", [{}, {"d-1": "token_replayed"}], ids=["no line", "another reason"])
async def test_a_decision_that_the_audit_does_not_have_differs(audit: dict[str, str | None]) -> None:
    ground = FakeGround(audit=audit)
    conduct = conduct_on(ground)
    await conduct.see("a bad call", ground.call(denied(401, "token_expired")), EXPIRED)
    assert "audit" in conduct.observations[0].seen
    assert not conduct.observations[0].as_expected


async def test_what_could_not_be_written_to_the_audit_need_not_stand_there() -> None:
    ground = FakeGround()
    conduct = conduct_on(ground)
    lost = ground.call(denied(503, "audit_unavailable"))
    await conduct.see("no room", lost, refused(Reason.AUDIT_UNAVAILABLE))
    assert conduct.observations[0].as_expected


async def test_a_change_is_waited_for_and_the_last_word_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_POLL", 0)
    ground = FakeGround(audit={"d-1": None, "d-2": "token_key_unknown"})
    answers = iter([denied(401, "token_key_unknown", "d-2"), passed()])
    arrivals = iter([0, 1])

    async def call() -> Sent:
        return await ground.call(next(answers), arrives=next(arrivals))

    conduct = conduct_on(ground)
    await conduct.soon("the new key", call, PASSES)
    assert [one.seen for one in conduct.observations] == ["200 passed"]


async def test_a_change_that_never_comes_differs_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PATIENCE", 0)
    ground = FakeGround(audit={"d-1": "token_key_unknown"})

    async def call() -> Sent:
        return await ground.call(denied(401, "token_key_unknown"))

    async def never() -> bool:
        return False

    conduct = conduct_on(ground)
    await conduct.soon("the new key", call, PASSES)
    await conduct.until("it is refused", never)
    assert [one.as_expected for one in conduct.observations] == [False, False]


async def test_a_state_that_comes_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_POLL", 0)
    looks = iter([False, True])

    async def holds() -> bool:
        return next(looks)

    conduct = conduct_on(FakeGround())
    await conduct.until("it is refused", holds)
    assert conduct.observations[0].as_expected
