"""How long is an answer kept, and who may push it out?"""

from ott_extauthz.authn.introspection import INACTIVE, Introspected
from ott_extauthz.check.answers import Answers
from tests.fakes.clock import FakeClock


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def room(clock: FakeClock, *, active: float = 10, inactive: float = 5, most: int = 4) -> Answers:
    return Answers(clock=clock, active_seconds=active, inactive_seconds=inactive, most=most)


def good(clock: FakeClock, seconds: float = 3600) -> Introspected:
    return Introspected({"active": True, "exp": clock.now_ms() / 1000 + seconds})


def test_an_answer_counts_from_when_it_was_asked_for() -> None:
    """An issuer that takes nine seconds to answer says how things were nine seconds ago."""
    clock = FakeClock()
    answers = room(clock)
    asked_at = clock.monotonic()
    clock.advance(9000)
    answers.put(key(1), good(clock), asked_at)
    assert answers.get(key(1)) is not None
    clock.advance(1000)
    assert answers.get(key(1)) is None
    assert len(answers) == 0


def test_inactive_counts_for_a_time_of_its_own() -> None:
    clock = FakeClock()
    answers = room(clock)
    answers.put(key(1), INACTIVE, clock.monotonic())
    clock.advance(4999)
    assert answers.get(key(1)) is INACTIVE
    clock.advance(1)
    assert answers.get(key(1)) is None


def test_nothing_counts_beyond_its_own_end() -> None:
    clock = FakeClock()
    answers = room(clock)
    answers.put(key(1), good(clock, seconds=3), clock.monotonic())
    clock.advance(2999)
    assert answers.get(key(1)) is not None
    clock.advance(1)
    assert answers.get(key(1)) is None


def test_a_wall_clock_that_is_set_back_prolongs_nothing() -> None:
    clock = FakeClock()
    answers = room(clock)
    answers.put(key(1), good(clock), clock.monotonic())
    clock.step(-3_600_000)
    clock.advance(10_000)
    assert answers.get(key(1)) is None


def test_a_life_of_nothing_keeps_nothing() -> None:
    clock = FakeClock()
    answers = room(clock, active=0, inactive=0)
    answers.put(key(1), good(clock), clock.monotonic())
    answers.put(key(2), INACTIVE, clock.monotonic())
    answers.put(key(3), good(clock, seconds=0), clock.monotonic())
    assert len(answers) == 0


def test_a_flood_of_made_up_tokens_is_bounded_and_pushes_out_nobodys_good_one() -> None:
    clock = FakeClock()
    answers = room(clock)
    answers.put(key(0), good(clock), clock.monotonic())
    for number in range(1, 1000):
        answers.put(key(number), INACTIVE, clock.monotonic())
    assert len(answers) == 5
    assert answers.get(key(0)) is not None


def test_of_good_ones_the_one_that_nobody_brought_for_longest_goes() -> None:
    clock = FakeClock()
    answers = room(clock)
    for number in range(4):
        answers.put(key(number), good(clock), clock.monotonic())
    answers.get(key(0))
    answers.put(key(4), good(clock), clock.monotonic())
    assert [number for number in range(5) if answers.get(key(number))] == [0, 2, 3, 4]
