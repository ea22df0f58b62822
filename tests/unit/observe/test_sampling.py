"""No client decides what we trace."""

import secrets

import pytest

from ott_extauthz.model.trace_context import TraceContext
from ott_extauthz.model.traced import Traced
from ott_extauthz.observe.sampling import Sampling
from ott_extauthz.sections.tracing import Tracing
from tests.fakes.clock import FakeClock

LOW, HIGH = "0" * 32, "f" * 32


def sampling(**settings: object) -> Sampling:
    made = Tracing.model_validate({"endpoint": "http://collector:4317", **settings})
    return Sampling(made, FakeClock().monotonic)


def says(*, sampled: bool = True, by_envoy: bool = False) -> Traced:
    return Traced(TraceContext("1" * 32, "2" * 16, is_sampled=sampled), by_envoy)


@pytest.mark.parametrize(
    ("parent", "by_envoy", "followed"),
    [("envoy", True, True), ("envoy", False, False), ("request", True, True), ("request", False, True),
     ("ignore", True, False), ("ignore", False, False)],
)  # fmt: skip
def test_whose_word_counts(*, parent: str, by_envoy: bool, followed: bool) -> None:
    assert sampling(parent=parent).takes(says(by_envoy=by_envoy), HIGH) is followed
    assert not sampling(parent=parent).takes(says(by_envoy=by_envoy, sampled=False), HIGH)
    assert not sampling(parent=parent).takes(None, HIGH)


def test_a_client_that_says_traced_a_thousand_times_is_followed_so_often_and_no_more() -> None:
    chosen = sampling(parent="request", followed_per_second=7)
    assert sum(chosen.takes(says(), HIGH) for _ in range(1000)) == 7


def test_beyond_what_is_followed_the_ratio_still_holds() -> None:
    chosen = sampling(parent="request", followed_per_second=1, ratio=0.5)
    assert [chosen.takes(says(), HIGH), chosen.takes(says(), LOW), chosen.takes(says(), HIGH)] == [True, True, False]


def test_a_client_cannot_pick_a_trace_id_that_is_always_traced() -> None:
    """A ratio over trace ids is the usual one; here the dice are ours."""
    chosen = sampling(ratio=0.1)
    lucky = Traced(TraceContext("0" * 31 + "1", "2" * 16, is_sampled=True), by_envoy=False)
    taken = sum(chosen.takes(lucky, secrets.token_hex(16)) for _ in range(4000))
    assert 200 < taken < 700


@pytest.mark.parametrize(("ratio", "low", "high"), [(0, False, False), (1, True, True)])
def test_none_is_none_and_all_is_all(*, ratio: float, low: bool, high: bool) -> None:
    chosen = sampling(ratio=ratio)
    assert (chosen.takes(None, LOW), chosen.takes(None, HIGH)) == (low, high)
