"""Whatever happens to clocks, callers and stores, no token is accepted twice, and no budget lets more through than it
has: a machine that tries to break it.

Only what the bounds allow is done to clocks; everything is done to the data.  The verifier's own limits (iat not
ahead of the caller by more than ``iat_lead``, nothing after exp + leeway) stand before the used-list here as they do in
the service, for the promise is the two together.
"""

import asyncio
import dataclasses
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ott_extauthz.ports import Charge, Clock, Use, UsedList, UsedListError
from ott_extauthz.sections.serving import ClockBounds
from ott_extauthz.stores.memory import MemoryUsedList
from ott_extauthz.stores.redislist.list import RedisUsedList
from ott_extauthz.stores.sqllist.list import SqlUsedList
from tests.charging import budget
from tests.fakes.clock import FakeClock, SkewedClock
from tests.processes import REDIS, VALKEY, Engine, StoreProcess, running
from tests.sql_lists import SqlStore, delete_files, sql_store
from tests.used_lists import FIRST, settings_for

LEAD_MS = 10
SKEW_MS = 20
LIFETIME_MS = 400
LEEWAY_MS = 50
KEEP_MARGIN_MS = 100
LIMIT = 2
OFFSETS_MS = (SKEW_MS - 4, 0, 4 - SKEW_MS)
BOUNDS = ClockBounds.model_validate({"max_skew": f"{SKEW_MS}ms", "iat_lead": f"{LEAD_MS}ms"})


@dataclasses.dataclass(slots=True, eq=False)
class Token:
    """A token and every attempt that was accepted; two nonces in there are two accepted uses."""

    key: bytes
    issued_at_ms: int
    nonces: list[bytes] = dataclasses.field(default_factory=list)
    accepted: set[bytes] = dataclasses.field(default_factory=set)
    charges: tuple[Charge, ...] = ()

    def is_valid_at(self, now_ms: int) -> bool:
        return self.issued_at_ms <= now_ms + LEAD_MS and now_ms < self.issued_at_ms + LIFETIME_MS + LEEWAY_MS


class AtMostOnce(RuleBasedStateMachine):
    """The part that is the same for every store.  Subclasses own the time and the store's misfortunes."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.tokens: list[Token] = []
        self.budgets: list[Charge] = []

    def callers(self) -> list[tuple[UsedList, Clock]]:
        raise NotImplementedError

    def issuer_now_ms(self) -> int:
        raise NotImplementedError

    async def attempt(self, token: Token, nonce: bytes, caller: int) -> None:
        used_list, clock = self.callers()[caller % len(self.callers())]
        now_ms = clock.now_ms()
        if not token.is_valid_at(now_ms):
            return
        keep_until_ms = token.issued_at_ms + LIFETIME_MS + LEEWAY_MS + SKEW_MS + KEEP_MARGIN_MS
        use = Use(
            key=token.key,
            nonce=nonce,
            issued_at_ms=token.issued_at_ms,
            keep_until_ms=keep_until_ms,
            now_ms=now_ms,
            account=b"account",
            charges=token.charges,
        )
        try:
            outcome = (await used_list.mark_used(use, timeout=5)).outcome
        except UsedListError:
            return  # refused; the store may have been away for longer than clocks may differ
        if outcome is FIRST:
            token.accepted.add(nonce)

    @rule(lead_ms=st.integers(-5, LEAD_MS), uses=st.integers(0, 3), caller=st.integers(0, 1))
    def mint(self, lead_ms: int, uses: int, caller: int) -> None:
        """Mint a token, and perhaps use it at once from several places at the same time."""
        issued_at_ms = self.issuer_now_ms() + lead_ms
        token = Token(secrets.token_bytes(32), issued_at_ms, charges=self._charges(issued_at_ms))
        self.tokens.append(token)
        self._race(token, uses, caller)

    @precondition(lambda self: self.tokens)
    @rule(which=st.integers(0, 3), uses=st.integers(1, 3), caller=st.integers(0, 1))
    def use(self, which: int, uses: int, caller: int) -> None:
        self._race(self._recent(which), uses, caller)

    @precondition(lambda self: any(token.nonces for token in self.tokens))
    @rule(which=st.integers(0, 3), nonce=st.integers(0, 3), caller=st.integers(0, 1))
    def retry(self, which: int, nonce: int, caller: int) -> None:
        """Send an earlier attempt again, as a client of the store does that lost the reply."""
        token = self._recent(which)
        if token.nonces:
            self.runner.run(self.attempt(token, token.nonces[nonce % len(token.nonces)], caller))

    @invariant()
    def no_token_is_accepted_twice(self) -> None:
        for token in self.tokens:
            assert len(token.accepted) <= 1

    @invariant()
    def no_budget_is_overdrawn(self) -> None:
        for charge in self.budgets:
            assert sum(bool(token.accepted) for token in self.tokens if charge in token.charges) <= LIMIT

    def _charges(self, issued_at_ms: int) -> tuple[Charge, ...]:
        """Have every other token draw on a budget, which is never younger than the token."""
        if len(self.tokens) % 2 == 0:
            return ()
        if len(self.tokens) % 16 == 1 or self.budgets[-1].since_ms > issued_at_ms:
            self.budgets.append(budget(issued_at_ms, LIMIT, key=secrets.token_bytes(32), keep_ms=3_600_000))
        return (self.budgets[-1],)

    def _draw_down(self, caller: int) -> None:
        for _ in range(2 * LIMIT):
            self.mint(0, 1, caller)

    def _recent(self, which: int) -> Token:
        return self.tokens[-1 - which % len(self.tokens)]

    def _race(self, token: Token, uses: int, caller: int) -> None:
        nonces = [secrets.token_bytes(16) for _ in range(uses)]
        token.nonces += nonces

        async def all_at_once() -> None:
            await asyncio.gather(*(self.attempt(token, nonce, caller + at) for at, nonce in enumerate(nonces)))

        self.runner.run(all_at_once())

    def teardown(self) -> None:
        async def close() -> None:
            for used_list, _ in self.callers():
                await used_list.close()

        self.runner.run(close())
        self.runner.close()


class MemoryAtMostOnce(AtMostOnce):
    """One process: its clock may go backward while it lives; when it dies, time has caught up by the next start."""

    @initialize()
    def start_list(self) -> None:
        self.clock = FakeClock()
        self.highest_ms = self.clock.now_ms()
        self.used_list = MemoryUsedList(clock=self.clock, iat_lead_ms=LEAD_MS)

    def callers(self) -> list[tuple[UsedList, Clock]]:
        return [(self.used_list, self.clock)]

    def issuer_now_ms(self) -> int:
        return self.clock.now_ms()

    @rule(milliseconds=st.integers(1, LIFETIME_MS * 2))
    def pass_time(self, milliseconds: int) -> None:
        self.clock.advance(milliseconds)

    @rule(milliseconds=st.integers(-LIFETIME_MS, LIFETIME_MS))
    def step_clock(self, milliseconds: int) -> None:
        self.clock.step(milliseconds)

    @rule()
    def restart(self) -> None:
        self.clock.step(max(0, self.highest_ms - self.clock.now_ms()))
        self.used_list = MemoryUsedList(clock=self.clock, iat_lead_ms=LEAD_MS)

    @invariant()
    def remember_highest(self) -> None:
        self.highest_ms = max(self.highest_ms, self.clock.now_ms())


class StoredAtMostOnce(AtMostOnce):
    """Two processes with clocks as far apart as the bounds allow, and a store that forgets."""

    store: ClassVar[StoreProcess]

    @initialize(first_ms=st.sampled_from(OFFSETS_MS), second_ms=st.sampled_from(OFFSETS_MS))
    def start_lists(self, first_ms: int, second_ms: int) -> None:
        self.store.command("FLUSHALL")
        self.clocks = [SkewedClock(first_ms), SkewedClock(second_ms)]
        self.lists = [
            RedisUsedList(settings=settings_for(self.store.url), bounds=BOUNDS, clock=clock) for clock in self.clocks
        ]
        self.runner.run(self._start())

    async def _start(self) -> None:
        for used_list in self.lists:
            await used_list.start()

    def callers(self) -> list[tuple[UsedList, Clock]]:
        return list(zip(self.lists, self.clocks, strict=True))

    def issuer_now_ms(self) -> int:
        """Mint as far ahead as some caller still accepts: the worst an issuer can do to a fence."""
        return max(clock.now_ms() for clock in self.clocks)

    @rule(milliseconds=st.sampled_from([1, 20, 90]))
    def wait(self, milliseconds: int) -> None:
        time.sleep(milliseconds / 1000)

    @rule()
    def flush(self) -> None:
        self.store.command("FLUSHALL")

    @rule(caller=st.integers(0, 1))
    def use_and_flush_and_use(self, caller: int) -> None:
        """Do in a row what chance seldom does: only the margin stands between the two uses."""
        self.mint(LEAD_MS, 1, caller)
        self.flush()
        self.use(0, 2, caller)

    @rule(caller=st.integers(0, 1))
    def draw_down_and_flush_and_draw_again(self, caller: int) -> None:
        """Past the margin of the new fence, so that nothing but the budget's own age stands in the way."""
        self._draw_down(caller)
        self.flush()
        self._draw_down(caller)  # sets the fence, and is refused
        self.wait(90)
        self._draw_down(caller)

    @rule()
    def forget_script(self) -> None:
        self.store.command("SCRIPT", "FLUSH")

    @rule()
    def lose_disk_and_memory(self) -> None:
        self.store.restart_empty()


class SqlAtMostOnce(AtMostOnce):
    """Two processes that share a database, which forgets."""

    sql_store: ClassVar[SqlStore]

    def start(self, *clocks: SkewedClock) -> None:
        self.clocks = clocks
        self.lists = [
            SqlUsedList(settings=settings_for(self.sql_store.url), bounds=BOUNDS, clock=clock) for clock in clocks
        ]
        self.runner.run(self._start())

    async def _start(self) -> None:
        for used_list in self.lists:
            await used_list.start()

    def callers(self) -> list[tuple[UsedList, Clock]]:
        return list(zip(self.lists, self.clocks, strict=True))

    def issuer_now_ms(self) -> int:
        return max(clock.now_ms() for clock in self.clocks)

    def forget(self) -> None:
        raise NotImplementedError

    @rule(milliseconds=st.sampled_from([1, 20, 90]))
    def wait(self, milliseconds: int) -> None:
        time.sleep(milliseconds / 1000)

    @rule()
    def lose_everything(self) -> None:
        self.forget()

    @rule(caller=st.integers(0, 1))
    def use_and_forget_and_use(self, caller: int) -> None:
        self.mint(LEAD_MS, 1, caller)
        self.forget()
        self.use(0, 2, caller)

    @rule(caller=st.integers(0, 1))
    def draw_down_and_forget_and_draw_again(self, caller: int) -> None:
        self.wait(90)
        self._draw_down(caller)
        self.forget()
        self._draw_down(caller)
        self.wait(90)
        self._draw_down(caller)


class SqliteAtMostOnce(SqlAtMostOnce):
    """One host: its processes share a clock, which may be set as far as bounds allow; its file comes and goes."""

    @initialize()
    def start_lists(self) -> None:
        assert self.sql_store.path is not None
        self.path = self.sql_store.path
        self.copy = self.path.with_name("copy")
        self.copy.unlink(missing_ok=True)
        self.has_copy = False
        clock = SkewedClock()
        self.start(clock, clock)

    def forget(self) -> None:
        delete_files(self.path)

    @rule(offset_ms=st.sampled_from(OFFSETS_MS))
    def step_clock(self, offset_ms: int) -> None:
        self.clocks[0].offset_ms = offset_ms

    @rule()
    def back_up(self) -> None:
        self.copy.unlink(missing_ok=True)
        self.sql_store.sql(f"VACUUM INTO '{self.copy}'")
        self.has_copy = True

    @precondition(lambda self: self.has_copy)
    @rule()
    def put_back(self) -> None:
        delete_files(self.path)
        shutil.copyfile(self.copy, self.path)

    @rule(caller=st.integers(0, 1))
    def use_between_copy_and_return(self, caller: int) -> None:
        self.wait(LEAD_MS + 2 * SKEW_MS + 20)  # so that the fence lets the first use through
        self.back_up()
        self.mint(0, 1, caller)
        self.put_back()
        self.use(0, 2, caller)

    @rule()
    def lose_witness(self) -> None:
        self.path.with_name(f".{self.path.name}.fence").unlink(missing_ok=True)

    @rule()
    def come_and_go(self) -> None:
        self.runner.run(self.lists[1].close())
        self.lists[1] = SqlUsedList(settings=settings_for(self.sql_store.url), bounds=BOUNDS, clock=self.clocks[1])


class PostgresAtMostOnce(SqlAtMostOnce):
    """Two hosts, with clocks as far apart as the bounds allow."""

    @initialize(first_ms=st.sampled_from(OFFSETS_MS), second_ms=st.sampled_from(OFFSETS_MS))
    def start_lists(self, first_ms: int, second_ms: int) -> None:
        self.start(SkewedClock(first_ms), SkewedClock(second_ms))

    def command(self, statement: str) -> None:
        """Run it while the lists' tasks go on: what they have begun would hold it up."""
        self.runner.run(asyncio.to_thread(self.sql_store.sql, statement))

    def forget(self) -> None:
        self.command("TRUNCATE ott_used")

    @rule()
    def lose_counters(self) -> None:
        self.command("TRUNCATE ott_counters")

    @rule()
    def lose_tables(self) -> None:
        self.command("DROP TABLE IF EXISTS ott_used, ott_counters, ott_fence")
        self.runner.run(self.lists[0].health())

    @rule()
    def crash(self) -> None:
        assert self.sql_store.server is not None
        self.sql_store.server.kill()
        self.sql_store.server.start()


@pytest.fixture(params=[VALKEY, REDIS], ids=["valkey", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[StoreProcess]:
    engine: Engine = request.param
    if engine.program is None:
        pytest.skip(engine.why_not)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        yield stack.enter_context(running(engine, Path(folder) / "data"))


def _settings(max_examples: int, steps: int) -> settings:
    return settings(
        max_examples=max_examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def test_memory_accepts_no_token_twice() -> None:
    run_state_machine_as_test(MemoryAtMostOnce, settings=_settings(100, 30))


def test_a_store_that_forgets_accepts_no_token_twice(store: StoreProcess) -> None:
    class Machine(StoredAtMostOnce):
        pass

    Machine.store = store
    run_state_machine_as_test(Machine, settings=_settings(25, 15))


@pytest.mark.timeout(300)  # servers that crash and come back take seconds on a busy machine
@pytest.mark.parametrize(
    ("kind", "machine", "max_examples"), [("sqlite", SqliteAtMostOnce, 20), ("postgresql", PostgresAtMostOnce, 4)]
)
def test_a_database_that_forgets_accepts_no_token_twice(
    kind: str, machine: type[SqlAtMostOnce], max_examples: int, tmp_path: Path
) -> None:
    with sql_store(kind, tmp_path) as store:
        made = type("Machine", (machine,), {"sql_store": store})
        run_state_machine_as_test(made, settings=_settings(max_examples, 8))
