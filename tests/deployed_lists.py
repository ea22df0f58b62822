"""What tests of used-lists on several servers share: tokens past every fence, answers, and patience."""

import asyncio
import dataclasses
import time
from collections.abc import Awaitable

import pytest

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import SpendOutcome, Use, UsedListError, UsedListFault
from ott_extauthz.stores.redislist.routed import leased_margin_ms
from tests.fakes.clock import SkewedClock
from tests.used_lists import BOUNDS, Outcomes, a_use

TIMEOUT = 4.0
LEASED_MARGIN_MS = leased_margin_ms(BOUNDS)


def fresh(*, after_ms: int = 0, bucket: int | None = None) -> Use:
    """Make a use of a token that no fence set up to ``after_ms`` from now concerns."""
    use = a_use(issued_at_ms=SkewedClock().now_ms() + LEASED_MARGIN_MS + 1 + after_ms)
    return use if bucket is None else dataclasses.replace(use, key=use.key[:-1] + bytes([bucket]))


async def outcome_of(used_list: Outcomes, use: Use) -> SpendOutcome:
    return await used_list.mark_used(use, timeout=TIMEOUT)


async def fault_of(spend: Awaitable[object]) -> tuple[UsedListFault, TokenState]:
    with pytest.raises(UsedListError) as caught:
        await spend
    return caught.value.fault, caught.value.token_state


async def eventually(used_list: Outcomes, *wanted: SpendOutcome, bucket: int | None = None) -> None:
    """Use fresh tokens until one has a wanted outcome; whatever else comes before must be a refusal."""
    end = time.monotonic() + 60
    while True:
        try:
            outcome = await used_list.mark_used(fresh(after_ms=100, bucket=bucket), timeout=TIMEOUT)
        except UsedListError as error:
            told = str(error)
        else:
            if outcome in wanted:
                return
            told = outcome.name
        assert time.monotonic() < end, told
        await asyncio.sleep(0.05)
