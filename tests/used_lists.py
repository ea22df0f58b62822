"""Used-lists over real stores, and uses to try them with."""

import dataclasses
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from ott_extauthz.ports import Clock, SpendOutcome, StoreHealth, Use, UsedList
from ott_extauthz.sections.serving import ClockBounds
from ott_extauthz.sections.store import Store
from ott_extauthz.stores.redislist.factory import redis_used_list
from ott_extauthz.stores.redislist.node import fence_margin_ms
from ott_extauthz.stores.redislist.script import FENCE_KEY
from tests.fakes.clock import SkewedClock
from tests.processes import StoreProcess

PATIENT = "2s"
"""A limit for tests that are not about time: on a busy machine 80 ms may pass for no reason of ours."""

BOUNDS = ClockBounds.model_validate({"max_skew": "5s", "iat_lead": "50ms"})
MARGIN_MS = fence_margin_ms(BOUNDS)


def settings_for(url: str, *, timeout: str = PATIENT, **more: Path | str | int) -> Store:
    return Store.model_validate({"url": url, "timeout": timeout, **more})


Made = TypeVar("Made")
SHORT_LIVES_MS = (150, 600, 2400, 9600)
"""How long it may live what must be used before its end: a busy machine needs one of the longer ones."""


async def used_in_time(attempt: Callable[[int], Awaitable[tuple[Made, SpendOutcome]]]) -> Made:
    """Have something short-lived used before its end; where its life was too short for this machine, another one."""
    for life_ms in SHORT_LIVES_MS:
        made, outcome = await attempt(life_ms)
        if outcome is not SpendOutcome.EXPIRED:
            assert outcome is SpendOutcome.FIRST_USE
            return made
    raise AssertionError(f"one spend takes longer than {SHORT_LIVES_MS[-1]} ms")


class Outcomes:
    """A used-list whose answers are bare outcomes, for tests that ask nothing else."""

    def __init__(self, used_list: UsedList) -> None:
        self.used_list = used_list

    async def mark_used(self, use: Use, *, timeout: float) -> SpendOutcome:
        return (await self.used_list.mark_used(use, timeout=timeout)).outcome

    async def health(self) -> StoreHealth:
        return await self.used_list.health()

    async def close(self) -> None:
        await self.used_list.close()


@asynccontextmanager
async def listed(
    settings: Store | str, *, bounds: ClockBounds = BOUNDS, clock: Clock | None = None
) -> AsyncIterator["Outcomes"]:
    """Have a started used-list for the length of a block."""
    settings = settings_for(settings) if isinstance(settings, str) else settings
    used_list = redis_used_list(settings=settings, bounds=bounds, clock=clock or SkewedClock())
    await used_list.start()
    try:
        yield Outcomes(used_list)
    finally:
        await used_list.close()


def since_ms(store: StoreProcess) -> int:
    """Read the instant of the fence as the store keeps it."""
    fence: str = store.command("GET", FENCE_KEY)
    return int(fence.rpartition(":")[2])


def a_use(
    *,
    key: bytes | None = None,
    nonce: bytes | None = None,
    now_ms: int | None = None,
    issued_at_ms: int | None = None,
    keep_until_ms: int | None = None,
) -> Use:
    """Make a use of a token that no fence set up to now concerns, unless told otherwise."""
    now_ms = SkewedClock().now_ms() if now_ms is None else now_ms
    return Use(
        key=key or secrets.token_bytes(32),
        nonce=nonce or secrets.token_bytes(16),
        issued_at_ms=now_ms + MARGIN_MS + 1 if issued_at_ms is None else issued_at_ms,
        keep_until_ms=now_ms + 60_000 if keep_until_ms is None else keep_until_ms,
        now_ms=now_ms,
    )


def replay_of(use: Use) -> Use:
    """Make another attempt with the same token, now."""
    return dataclasses.replace(use, nonce=secrets.token_bytes(16), now_ms=SkewedClock().now_ms())


FIRST, USED, FENCED, EXPIRED = (
    SpendOutcome.FIRST_USE,
    SpendOutcome.ALREADY_USED,
    SpendOutcome.FENCED,
    SpendOutcome.EXPIRED,
)
