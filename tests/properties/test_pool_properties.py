"""Whatever happens to a pool, in whatever order: no token twice, none too old, none from before a discard."""

import asyncio

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ott_extauthz.client.pool import TokenPool
from ott_extauthz.ports import MintedToken, TokenSourceError, TokenWanted
from tests.fakes.issuing import SetClock
from tests.fakes.token_source import SetSource

LIFETIME_MS = 9_000
MOST_KEPT = 40
KINDS = (TokenWanted(audience="wallet.api"), TokenWanted(audience="ledger.api", scope=frozenset({"ledger:write"})))


class Pool(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = SetClock()
        self.source = SetSource(self.clock, lifetime_ms=LIFETIME_MS)
        self.pool = TokenPool(self.source, self.clock, most_kept=MOST_KEPT)
        self.waiting: list[asyncio.Task[MintedToken]] = []
        self.seen: set[str] = set()
        self.not_below = 0

    @rule(kind=st.sampled_from(KINDS), callers=st.integers(1, 60))
    def take(self, kind: TokenWanted, callers: int) -> None:
        self.waiting += [self.loop.create_task(self._take(kind)) for _ in range(callers)]
        self.settle()

    @rule(ms=st.sampled_from([1, 50, 400, 2_000, 5_999, 6_000, 6_001, 60_000]))
    def pass_time(self, ms: int) -> None:
        self.clock.at_ms += ms

    @rule()
    def discard(self) -> None:
        self.pool.discard()
        self.not_below = self.source.made

    @rule(is_down=st.booleans())
    def fail(self, is_down: bool) -> None:  # noqa: FBT001 - Hypothesis names it
        self.source.fault = TokenSourceError("down", is_lasting=False) if is_down else None

    @rule(is_slow=st.booleans())
    def slow(self, is_slow: bool) -> None:  # noqa: FBT001 - Hypothesis names it
        (self.source.gate.clear if is_slow else self.source.gate.set)()
        self.settle()

    @rule(share=st.integers(2, 5))
    def give_up(self, share: int) -> None:
        for task in self.waiting[::share]:
            task.cancel()
        self.settle()

    @invariant()
    def one_refill_of_a_kind_at_a_time(self) -> None:
        assert self.source.most_at_once <= len(KINDS)

    @invariant()
    def what_is_kept_is_bounded(self) -> None:
        assert all(self.pool.ready(kind) <= MOST_KEPT for kind in KINDS)

    async def _take(self, kind: TokenWanted) -> MintedToken:
        token = await self.pool.take(kind)
        assert token.text not in self.seen, "handed out twice"
        self.seen.add(token.text)
        assert token.expires_at_ms - self.clock.at_ms >= LIFETIME_MS / 3, "too old to arrive"
        assert int(token.text) >= self.not_below, "from before a discard"
        return token

    def settle(self) -> None:
        async def turns() -> None:
            for _ in range(40):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turns())
        for task in [task for task in self.waiting if task.done()]:
            self.waiting.remove(task)
            error = None if task.cancelled() else task.exception()
            assert error is None or isinstance(error, TokenSourceError), error

    def teardown(self) -> None:
        self.source.fault = None
        self.source.gate.set()
        self.clock.at_ms += 60_000
        self.settle()
        assert not self.waiting, "somebody waits for ever"
        self.loop.run_until_complete(self.pool.aclose())
        self.loop.close()


TestPool = Pool.TestCase
TestPool.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
