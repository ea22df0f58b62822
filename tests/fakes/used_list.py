"""Used-lists that misbehave on purpose, each in one way; all satisfy the port."""

import asyncio
from collections import deque
from collections.abc import Iterable

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import Spend, SpendOutcome, StoreHealth, Use, UsedListError, UsedListFault


class AnsweringUsedList:
    """Answers what it was told to, in turn; the last answer for ever.  Keeps the uses it was asked to mark."""

    def __init__(self, answers: Iterable[SpendOutcome | UsedListError] = (SpendOutcome.FIRST_USE,)) -> None:
        self._answers = deque(answers)
        self.uses: list[Use] = []
        self.timeouts: list[float] = []
        self.is_closed = False

    async def start(self) -> None:
        """Nothing to connect to."""

    async def mark_used(self, use: Use, *, timeout: float) -> Spend:
        self.uses.append(use)
        self.timeouts.append(timeout)
        answer = self._answers.popleft() if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, UsedListError):
            raise answer
        return Spend(answer)

    async def health(self) -> StoreHealth:
        return StoreHealth(ready=True, detail="answers as told")

    async def close(self) -> None:
        self.is_closed = True


class UnavailableUsedList(AnsweringUsedList):
    """Is down: every use raises."""

    def __init__(
        self, fault: UsedListFault = UsedListFault.CONNECT, token_state: TokenState = TokenState.UNSPENT
    ) -> None:
        super().__init__([UsedListError(fault, token_state, "unavailable on purpose")])

    async def health(self) -> StoreHealth:
        return StoreHealth(ready=False, detail="unavailable on purpose")


class SlowUsedList(AnsweringUsedList):
    """Takes its time.  Keeps the port's word on the timeout, unless told to be ``heedless`` of it."""

    def __init__(
        self, seconds: float, *, heedless: bool = False, answer: SpendOutcome = SpendOutcome.FIRST_USE
    ) -> None:
        super().__init__([answer])
        self._seconds = seconds
        self._heedless = heedless

    async def mark_used(self, use: Use, *, timeout: float) -> Spend:
        if self._seconds > timeout and not self._heedless:
            await asyncio.sleep(timeout)
            raise UsedListError(UsedListFault.TIMEOUT, TokenState.UNKNOWN, "slow on purpose")
        await asyncio.sleep(self._seconds)
        return await super().mark_used(use, timeout=timeout)
