"""What may be used once: named without confusion, remembered long enough, and refused when nobody can tell."""

import asyncio
import secrets
from typing import Any

import pytest

from ott_extauthz.issuer.once import MARGIN_MS, FirstUse, Once
from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import SpendOutcome, UsedListError, UsedListFault
from tests.fakes.used_list import AnsweringUsedList, UnavailableUsedList

TIMES = {"issued_at_ms": 1000, "expires_at_ms": 2000, "now_ms": 1500}


def once(used_list: Any, faults: list[str] | None = None, **changes: Any) -> Once:
    values: dict[str, Any] = {"entropy": secrets.token_bytes, "exp_leeway_ms": 20, "max_skew_ms": 3} | changes
    return Once(used_list=used_list, on_fault=(faults if faults is not None else []).append, **values)


def answered(answer: SpendOutcome | UsedListError) -> tuple[FirstUse, list[str]]:
    faults: list[str] = []
    return asyncio.run(once(AnsweringUsedList([answer]), faults).spend("p", "c", "j", **TIMES)), faults


@pytest.mark.parametrize("outcome", SpendOutcome)
def test_only_the_first_use_is_one(outcome: SpendOutcome) -> None:
    assert (answered(outcome)[0] is FirstUse.YES) == (outcome is SpendOutcome.FIRST_USE)


@pytest.mark.parametrize("outcome", [SpendOutcome.UNSAFE, SpendOutcome.NOT_PRIMARY, SpendOutcome.CLOCK_DISAGREES])
def test_a_store_that_must_not_be_believed_is_told(outcome: SpendOutcome) -> None:
    assert answered(outcome) == (FirstUse.UNAVAILABLE, [f"used_list_{outcome.name.lower()}"])


def test_a_store_that_is_down_is_told_by_kind() -> None:
    error = UsedListError(UsedListFault.TIMEOUT, TokenState.UNKNOWN, "a secret address")
    assert answered(error) == (FirstUse.UNAVAILABLE, ["used_list_timeout"])
    assert asyncio.run(once(UnavailableUsedList()).spend("p", **TIMES)) is FirstUse.UNAVAILABLE


def test_a_use_is_remembered_until_nobody_could_accept_it() -> None:
    used_list = AnsweringUsedList()
    asyncio.run(once(used_list).spend("p", "c", "j", **TIMES))
    (use,) = used_list.uses
    assert (use.issued_at_ms, use.keep_until_ms, use.now_ms) == (1000, 2000 + 20 + 3 + MARGIN_MS, 1500)


def test_names_are_told_apart_and_each_call_is_an_attempt_of_its_own() -> None:
    used_list = AnsweringUsedList()
    names = [("p", "c", "j"), ("p", "cj", ""), ("pc", "j"), ("q", "c", "j"), ("p", "c", "k"), ("p", "c", "j")]
    for name in names:
        asyncio.run(once(used_list).spend(*name, **TIMES))
    assert len({use.key for use in used_list.uses}) == 5
    assert used_list.uses[0].key == used_list.uses[-1].key
    assert len({use.nonce for use in used_list.uses}) == 6


def test_entropy_that_runs_short_is_a_fault() -> None:
    with pytest.raises(RuntimeError, match="entropy"):
        asyncio.run(once(AnsweringUsedList(), entropy=lambda count: b"").spend("p", **TIMES))
