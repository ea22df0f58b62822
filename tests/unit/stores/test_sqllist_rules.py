"""The rules of a SQL used-list at their edges, without a database."""

import dataclasses
from typing import Any

import pytest

from ott_extauthz.ports import OWN_WRITE_MS, FirstUse, Spend, SpendOutcome, Use
from ott_extauthz.sections.serving import ClockBounds
from ott_extauthz.stores.sqllist import postgres, sqlite
from ott_extauthz.stores.sqllist.judging import Fence, Row, Rules, Seen, judged
from ott_extauthz.stores.sqllist.witness import Mark, boot_id

NOW = 1_790_000_000_000
RULES = Rules(margin_ms=1000, max_skew_ms=500)
SEEN = Seen(NOW, Fence("id", NOW - 10_000))
USE = Use(key=b"k" * 32, nonce=b"n", issued_at_ms=NOW, keep_until_ms=NOW + 60_000, now_ms=NOW)


def test_a_use_within_all_bounds_may_be_written() -> None:
    assert RULES.refusal(USE, SEEN) is None


@pytest.mark.parametrize(("offset_ms", "is_refused"), [(-501, True), (-500, False), (500, False), (501, True)])
def test_clocks_may_differ_by_max_skew_and_no_more(offset_ms: int, is_refused: bool) -> None:  # noqa: FBT001
    use = dataclasses.replace(USE, now_ms=NOW + offset_ms)
    assert (RULES.refusal(use, SEEN) is SpendOutcome.CLOCK_DISAGREES) is is_refused
    assert Rules(margin_ms=1000, max_skew_ms=None).refusal(use, SEEN) is None


@pytest.mark.parametrize(("after_ms", "is_refused"), [(-1, True), (0, True), (1, False)])
def test_the_fence_refuses_up_to_its_margin(after_ms: int, is_refused: bool) -> None:  # noqa: FBT001
    use = dataclasses.replace(USE, issued_at_ms=NOW - 10_000 + 1000 + after_ms)
    assert (RULES.refusal(use, SEEN) is SpendOutcome.FENCED) is is_refused


@pytest.mark.parametrize(("after_ms", "is_refused"), [(-1, True), (0, True), (1, False)])
def test_a_use_ends_by_the_databases_clock_and_by_the_last_sweep(after_ms: int, is_refused: bool) -> None:  # noqa: FBT001
    use = dataclasses.replace(USE, keep_until_ms=NOW + after_ms)
    assert (RULES.refusal(use, SEEN) is SpendOutcome.EXPIRED) is is_refused
    swept = Seen(NOW - 1000, Fence("id", NOW - 10_000, swept_ms=NOW))
    assert (RULES.refusal(dataclasses.replace(use, now_ms=NOW - 1000), swept) is SpendOutcome.EXPIRED) is is_refused


def test_what_saw_no_fence_or_a_danger_writes_nothing() -> None:
    assert RULES.refusal(USE, Seen(NOW)) is SpendOutcome.UNSAFE
    assert RULES.refusal(USE, Seen(NOW, refusal=SpendOutcome.NOT_PRIMARY)) is SpendOutcome.NOT_PRIMARY


@pytest.mark.parametrize(
    ("nonce", "after_ms", "expected"),
    [
        (b"n", 0, SpendOutcome.FIRST_USE),
        (b"n", OWN_WRITE_MS, SpendOutcome.FIRST_USE),
        (b"n", OWN_WRITE_MS + 1, SpendOutcome.ALREADY_USED),
        (b"n", -OWN_WRITE_MS - 1, SpendOutcome.ALREADY_USED),
        (b"nn", 0, SpendOutcome.ALREADY_USED),
        (b"", 0, SpendOutcome.ALREADY_USED),
    ],
)
def test_a_row_is_ones_own_by_its_nonce_and_only_for_a_while(
    nonce: bytes, after_ms: int, expected: SpendOutcome
) -> None:
    assert judged(USE, Row(nonce, NOW, b"w"), NOW + after_ms).outcome is expected


def test_the_first_use_is_shown_to_the_second_and_a_row_that_is_gone_was_a_use() -> None:
    assert judged(USE, Row(b"m", NOW - 5, b"w"), NOW) == Spend(SpendOutcome.ALREADY_USED, FirstUse(NOW - 5, b"w"))
    assert judged(USE, None, NOW) == Spend(SpendOutcome.ALREADY_USED)


def test_margins_follow_from_the_bounds() -> None:
    bounds = ClockBounds.model_validate({"max_skew": "500ms", "iat_lead": "300ms"})
    assert sqlite.fence_margin_ms(bounds) == 300 + 2 * 500
    assert postgres.fence_margin_ms(bounds) == 300 + 500 + 2 * 500


IDENTITY = f"{boot_id()}.random"
VOUCHED = (Mark(IDENTITY, 7, "stamp"), Fence(IDENTITY, NOW, writes=7), "stamp")


@pytest.mark.parametrize("ahead", [0, 1])
def test_a_file_is_vouched_for_also_if_its_last_commit_was_not_told_to_the_witness(ahead: int) -> None:
    mark, fence, stamp = VOUCHED
    assert sqlite._vouches(mark, dataclasses.replace(fence, writes=7 + ahead), stamp)


@pytest.mark.parametrize(
    ("mark", "fence", "stamp"),
    [
        ({"identity": f"{boot_id()}.other"}, {}, "stamp"),
        ({}, {"identity": f"{boot_id()}.other"}, "stamp"),
        ({"identity": "other.random"}, {"identity": "other.random"}, "stamp"),
        ({"writes": 8}, {}, "stamp"),
        ({}, {"writes": 6}, "stamp"),
        ({}, {}, "another"),
    ],
)
def test_a_file_is_not_vouched_for_if_anything_tells_of_another_past(
    mark: dict[str, Any], fence: dict[str, Any], stamp: str
) -> None:
    assert not sqlite._vouches(dataclasses.replace(VOUCHED[0], **mark), dataclasses.replace(VOUCHED[1], **fence), stamp)
