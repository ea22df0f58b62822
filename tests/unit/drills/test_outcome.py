import pytest

from ott_extauthz.drills.outcome import CLOSED_BY_ENVOY, NO_ANSWER, PASSES, Outcome, refused, token_state
from ott_extauthz.model.reason import REASONS, Reason
from tests.unit.drills.grounds import denied, passed


def test_every_reason_is_expected_with_its_own_status() -> None:
    assert all(refused(reason).status == REASONS[reason].status for reason in Reason)


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (PASSES, "200 passed"),
        (NO_ANSWER, "no answer"),
        (CLOSED_BY_ENVOY, "503 by Envoy itself"),
        (refused(Reason.TOKEN_EXPIRED), "401 token_expired"),
    ],
)
def test_an_outcome_is_told_in_the_words_of_the_tables(outcome: Outcome, told: str) -> None:
    assert str(outcome) == told


def test_a_503_of_ours_is_not_one_of_envoys() -> None:
    assert Outcome.of(denied(503, "store_unavailable")) != CLOSED_BY_ENVOY
    assert Outcome.of(None) == NO_ANSWER


def test_what_a_refusal_says_of_its_token() -> None:
    assert token_state(denied(503, "store_unavailable")) == "unspent"
    assert token_state(passed()) == "none"
    assert token_state(None) == "none"
