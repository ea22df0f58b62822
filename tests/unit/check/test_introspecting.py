"""Asking an issuer: once for many, bounded, and never in its way."""

import asyncio
from collections.abc import Awaitable
from typing import Final

import pytest

from ott_extauthz.authn.introspection import INACTIVE, Introspected
from ott_extauthz.check.answers import Answers
from ott_extauthz.check.introspecting import (
    FAILURES,
    LARGEST_KEPT_BYTES,
    Answer,
    IntrospectionResult,
    Introspector,
    NoAnswer,
    question_key,
)
from tests.fakes.clock import FakeClock
from tests.fakes.introspection import LOGIN, FakeEndpoint, Listening, active
from tests.fakes.key_set_server import until

R: Final = IntrospectionResult
PATIENCE: Final = 30.0


class Bench:
    """An introspector with fakes around it."""

    def __init__(self, *, most_in_flight: int = 8) -> None:
        self.clock, self.endpoint, self.listening = FakeClock(), FakeEndpoint(), Listening()
        self.endpoint.known["good"] = active(self.clock.now_ms())
        self.answers = Answers(clock=self.clock, active_seconds=10, inactive_seconds=5, most=100)
        self.introspector = Introspector(
            issuer=LOGIN, endpoint=self.endpoint, answers=self.answers, most_in_flight=most_in_flight,
            clock=self.clock, observer=self.listening,
        )  # fmt: skip

    def ask(self, token: str, seconds: float = PATIENCE, caller: str = "rgs") -> Awaitable[Answer]:
        return self.introspector.ask(question_key(LOGIN, token), token, seconds, caller)

    async def result(self, token: str) -> IntrospectionResult:
        await self.ask(token)
        return self.listening.results[-1]


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_an_answer_is_asked_for_once_and_then_kept(bench: Bench) -> None:
    first = await bench.ask("good")
    assert isinstance(first, Introspected)
    assert first.members is not None
    assert await bench.ask("good") is first
    assert await bench.ask("bad") is INACTIVE
    assert await bench.ask("bad") is INACTIVE
    assert bench.endpoint.asked == ["good", "bad"]
    assert bench.listening.results == [R.ACTIVE, R.KEPT_ACTIVE, R.INACTIVE, R.KEPT_INACTIVE]
    assert len(bench.listening.seconds) == 2


async def test_a_token_that_was_taken_back_works_for_as_long_as_the_answer_is_kept(bench: Bench) -> None:
    await bench.ask("good")
    bench.endpoint.known["good"] = {"active": False}
    bench.clock.advance(9999)
    assert await bench.result("good") is R.KEPT_ACTIVE
    bench.clock.advance(1)
    assert await bench.result("good") is R.INACTIVE


async def test_many_who_bring_one_token_at_once_are_one_question(bench: Bench) -> None:
    bench.endpoint.may_answer.clear()
    waiting = [asyncio.ensure_future(bench.ask("good")) for _ in range(50)]
    await until(lambda: bench.endpoint.under_way == 1)
    bench.endpoint.may_answer.set()
    answers = await asyncio.gather(*waiting)
    assert bench.endpoint.asked == ["good"]
    assert len({id(answer) for answer in answers}) == 1
    assert bench.listening.results == [R.ACTIVE] * 50


async def test_one_who_goes_away_takes_nobodys_answer_along(bench: Bench) -> None:
    """Envoy cancels a Check that takes too long; the client that began the question is not special."""
    bench.endpoint.may_answer.clear()
    first, second = asyncio.ensure_future(bench.ask("good")), asyncio.ensure_future(bench.ask("good"))
    await until(lambda: bench.endpoint.under_way == 1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    bench.endpoint.may_answer.set()
    assert isinstance(await second, Introspected)
    assert bench.endpoint.asked == ["good"]


async def test_one_who_cannot_wait_is_refused_and_the_answer_is_kept_for_the_next(bench: Bench) -> None:
    bench.endpoint.may_answer.clear()
    assert await bench.ask("good", seconds=0) == NoAnswer(R.TIMEOUT)
    bench.endpoint.may_answer.set()
    await until(lambda: len(bench.answers) == 1)
    assert await bench.result("good") is R.KEPT_ACTIVE


async def test_a_flood_of_made_up_tokens_is_bounded_and_stops_no_token_that_is_known(bench: Bench) -> None:
    await bench.ask("good")
    bench.endpoint.may_answer.clear()
    flood = [asyncio.ensure_future(bench.ask(f"made-up-{number}")) for number in range(100)]
    await until(lambda: bench.endpoint.under_way == 4)
    assert isinstance(await bench.ask("good"), Introspected)
    assert await bench.ask("new") == NoAnswer(R.SHARE_USED)
    bench.endpoint.may_answer.set()
    answers = await asyncio.gather(*flood)
    assert answers.count(INACTIVE) == 4
    assert answers.count(NoAnswer(R.SHARE_USED)) == 96
    assert len(bench.endpoint.asked) == 5
    assert await bench.result("new") is R.INACTIVE


async def test_a_flood_of_made_up_tokens_leaves_places_to_every_other_caller(bench: Bench) -> None:
    bench.endpoint.may_answer.clear()
    flood = [asyncio.ensure_future(bench.ask(f"made-up-{number}", caller="thief")) for number in range(100)]
    await until(lambda: bench.endpoint.under_way == 4)
    honest = asyncio.ensure_future(bench.ask("good", caller="rgs"))
    more = [asyncio.ensure_future(bench.ask(f"more-{number}", caller="thief")) for number in range(100)]
    await until(lambda: bench.endpoint.under_way == 5)
    bench.endpoint.may_answer.set()
    assert isinstance(await honest, Introspected)
    assert (await asyncio.gather(*flood, *more)).count(NoAnswer(R.SHARE_USED)) == 196


async def test_whoever_floods_has_its_share_again_when_its_questions_are_answered(bench: Bench) -> None:
    for _ in range(3):
        bench.endpoint.may_answer.clear()
        flood = [asyncio.ensure_future(bench.ask(f"made-up-{number}", caller="thief")) for number in range(9)]
        await until(lambda: bench.endpoint.under_way == 4)
        bench.endpoint.may_answer.set()
        assert (await asyncio.gather(*flood)).count(INACTIVE) == 4
        bench.clock.advance(6000)  # past what is kept


async def test_callers_without_end_are_bounded_together(bench: Bench) -> None:
    bench.endpoint.may_answer.clear()
    many = [asyncio.ensure_future(bench.ask(f"token-{number}", caller=f"caller-{number}")) for number in range(20)]
    await until(lambda: bench.endpoint.under_way == 8)
    bench.endpoint.may_answer.set()
    assert (await asyncio.gather(*many)).count(NoAnswer(R.OVERLOADED)) == 12


async def test_one_place_is_for_whoever_comes_first() -> None:
    bench = Bench(most_in_flight=1)
    bench.endpoint.may_answer.clear()
    first = asyncio.ensure_future(bench.ask("good"))
    await until(lambda: bench.endpoint.under_way == 1)
    assert await bench.ask("new", caller="other") == NoAnswer(R.OVERLOADED)
    bench.endpoint.may_answer.set()
    assert isinstance(await first, Introspected)


async def test_to_wait_for_anothers_question_takes_no_place(bench: Bench) -> None:
    bench.endpoint.may_answer.clear()
    waiting = [asyncio.ensure_future(bench.ask("good", caller="thief")) for _ in range(50)]
    waiting += [asyncio.ensure_future(bench.ask("good", caller="rgs")) for _ in range(50)]
    await until(lambda: bench.endpoint.under_way == 1)
    bench.endpoint.may_answer.set()
    assert all(isinstance(answer, Introspected) for answer in await asyncio.gather(*waiting))


@pytest.mark.parametrize("fails", [R.CONNECT, R.TIMEOUT, R.FAILED])
async def test_an_issuer_that_is_down_is_left_alone_for_a_second_then_asked_once(
    bench: Bench, fails: IntrospectionResult
) -> None:
    bench.endpoint.fails = fails
    for number in range(FAILURES):  # a failure is never kept: each is asked
        assert await bench.ask(f"t{number}") == NoAnswer(fails, "told to")
    assert await bench.ask("good") == NoAnswer(R.PAUSED)
    bench.clock.advance(999)
    assert await bench.ask("good") == NoAnswer(R.PAUSED)
    bench.clock.advance(1)
    bench.endpoint.may_answer.clear()
    probe = asyncio.ensure_future(bench.ask("good"))
    await until(lambda: bench.endpoint.under_way == 1)
    assert await bench.ask("other") == NoAnswer(R.PAUSED)
    bench.endpoint.may_answer.set()
    await probe
    assert len(bench.endpoint.asked) == FAILURES + 1
    assert await bench.ask("other") == NoAnswer(R.PAUSED)
    bench.clock.advance(1000)
    bench.endpoint.fails = None
    assert await bench.result("good") is R.ACTIVE
    assert await bench.result("other") is R.INACTIVE


async def test_a_token_that_is_known_outlives_an_outage(bench: Bench) -> None:
    await bench.ask("good")
    bench.endpoint.fails = R.CONNECT
    for number in range(FAILURES + 1):
        await bench.ask(f"t{number}")
    assert isinstance(await bench.ask("good"), Introspected)


@pytest.mark.parametrize("fails", [R.REFUSED, R.MALFORMED])
async def test_what_is_wrong_with_one_question_never_stops_the_others(bench: Bench, fails: IntrospectionResult) -> None:
    """Or whoever finds a token that the issuer answers with an error could keep everybody out."""
    bench.endpoint.fails = fails
    for number in range(FAILURES * 3):
        assert await bench.ask(f"t{number}") == NoAnswer(fails, "told to")
    bench.endpoint.fails = None
    assert await bench.result("good") is R.ACTIVE


async def test_failures_apart_are_no_outage(bench: Bench) -> None:
    for number in range(FAILURES * 2):
        bench.endpoint.fails = R.FAILED
        await bench.ask(f"t{number}")
        bench.endpoint.fails = None
        assert await bench.result(f"u{number}") is R.INACTIVE


async def test_nonsense_is_no_answer_and_is_not_kept(bench: Bench) -> None:
    bench.endpoint.known["good"] = b'{"active": "true"}'
    assert await bench.ask("good") == NoAnswer(R.MALFORMED, "active is no boolean")
    bench.endpoint.known["good"] = active(bench.clock.now_ms())
    assert await bench.result("good") is R.ACTIVE


async def test_an_answer_like_a_book_is_used_and_not_kept(bench: Bench) -> None:
    bench.endpoint.known["good"] = active(bench.clock.now_ms(), padding="x" * LARGEST_KEPT_BYTES)
    assert await bench.result("good") is R.ACTIVE
    assert await bench.result("good") is R.ACTIVE
    assert len(bench.answers) == 0


async def test_a_fault_of_ours_is_a_refusal_that_is_counted_by_type(bench: Bench) -> None:
    bench.endpoint.fails = RuntimeError("a secret")
    assert await bench.ask("good") == NoAnswer(R.FAULT)
    assert bench.listening.faults == ["RuntimeError"]


async def test_closing_ends_what_is_under_way(bench: Bench) -> None:
    bench.endpoint.may_answer.clear()
    waiting = asyncio.ensure_future(bench.ask("good"))
    await until(lambda: bench.endpoint.under_way == 1)
    await bench.introspector.aclose()
    assert isinstance(await waiting, NoAnswer)
    assert bench.endpoint.under_way == 0


def test_a_question_is_named_by_issuer_and_token_and_tells_neither() -> None:
    assert question_key("https://a", "bc") != question_key("https://ab", "c")
    assert b"good" not in question_key(LOGIN, "good")
    assert "good" not in repr(Bench().introspector)
