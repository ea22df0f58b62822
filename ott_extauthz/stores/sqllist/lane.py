"""How do calls get to the database?  All calls that wait are taken along by the next transaction of a free connection.

- Every call has a deadline of its own.  It fails UNSPENT while no COMMIT that could hold its use was sent.
- A transaction is bounded by the limit; one that went wrong takes its connection with it.
- A call that a broken transaction left unanswered goes once more, if its deadline allows: with the same nonce, so that
  the list knows its own write.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from sqlalchemy.exc import DBAPIError

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import Spend, SpendOutcome, Use, UsedListError, UsedListFault
from ott_extauthz.stores.sqllist.errors import READ_ONLY, ConnectError, advice, code_of, fault_of
from ott_extauthz.stores.sqllist.judging import Rules, Seen
from ott_extauthz.stores.sqllist.session import Session

MOST_SENDS: Final = 2
MOST_AT_ONCE: Final = 128
PAUSE_SECONDS: Final = 0.05
SWEEP_SECONDS: Final = 2.0


class Database(Protocol):
    """What a lane must know of SQLite and of PostgreSQL alike."""

    @property
    def lanes(self) -> int:
        """How many connections may be open at once."""
        ...

    @property
    def limit(self) -> float:
        """How long opening a connection may take, in seconds."""
        ...

    @property
    def rules(self) -> Rules:
        """The bounds that uses are judged by."""
        ...

    async def open(self) -> Session:
        """Open a connection; raises ConnectError."""
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...


@dataclass(slots=True, eq=False)
class Call:
    """One use on its way; a look has none.  ``unseen`` counts earlier sends that may have been carried out."""

    use: Use | None
    deadline: float
    reply: asyncio.Future[tuple[Seen, Spend | None]]
    sends: int = 0
    unseen: int = 0
    is_out: bool = False


class Lane:
    """The way to one database, for any number of concurrent callers of one event loop."""

    def __init__(
        self,
        database: Database,
        *,
        limit: float,
        sweep_every: float = SWEEP_SECONDS,
        on_sweep_failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._on_sweep_failed = on_sweep_failed
        self._limit = limit
        self._sweep_every = sweep_every
        self._next_sweep = 0.0
        self._queue: deque[Call] = deque()
        self._arrived = asyncio.Event()
        self._workers: list[asyncio.Task[None]] = []
        self._is_closed = False
        self._breaks = 0

    async def ask(self, use: Use | None, deadline: float) -> tuple[Seen, Spend | None, int]:
        """Spend ``use``, or only look; return what came of it, and how many earlier sends may have been carried out.

        Raises:
            UsedListError: no answer by ``deadline``, an instant of the event loop's clock; or the lane is closed.
        """
        if self._is_closed:
            raise UsedListError(UsedListFault.CLOSED, TokenState.UNSPENT, "the used-list is closed")
        loop = asyncio.get_running_loop()
        if deadline <= loop.time():
            raise UsedListError(UsedListFault.TIMEOUT, TokenState.UNSPENT, "no time was left to send")
        call = Call(use, deadline, loop.create_future())
        alarm = loop.call_at(deadline, _expire, call)
        self._queue.append(call)
        self._arrived.set()
        if not self._workers:
            self._workers = [loop.create_task(self._work()) for _ in range(self._database.lanes)]
        try:
            seen, spend = await call.reply
        finally:
            alarm.cancel()
        return seen, spend, call.unseen

    async def close(self) -> None:
        """Fail every call that is under way, and let go of the connections."""
        self._is_closed = True
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.cancel()
        if workers:
            await asyncio.wait(workers)
        _fail(self._taken(), UsedListFault.CLOSED, "the used-list was closed")
        await self._database.close()

    async def _work(self) -> None:
        """Be one connection's life: open it when there is something to carry, carry, and open another if it breaks."""
        session: Session | None = None
        breaks = 0
        try:
            while True:
                await self._arrived.wait()
                if session is not None and breaks != self._breaks:  # opened before another one broke: likely broken too
                    stale, session = session, None
                    await stale.drop()
                if session is None:
                    breaks = self._breaks
                    session = await self._opened()
                    continue
                batch = self._taken()
                if batch and not await self._carried(session, batch):
                    broken, session = session, None
                    await broken.drop()
        finally:
            if session is not None:
                await session.drop()

    async def _opened(self) -> Session | None:
        try:
            return await self._database.open()
        except Exception as error:  # noqa: BLE001 - a worker that ended would leave its calls to their deadlines
            why = str(error) if isinstance(error, ConnectError) else type(error).__name__
            _fail(self._taken(), UsedListFault.CONNECT, why)
            await asyncio.sleep(PAUSE_SECONDS)
            return None

    def _taken(self) -> list[Call]:
        batch: list[Call] = []
        while self._queue and len(batch) < MOST_AT_ONCE:
            call = self._queue.popleft()
            if not call.reply.done():
                batch.append(call)
        if not self._queue:
            self._arrived.clear()
        return batch

    async def _carried(self, session: Session, batch: list[Call]) -> bool:
        """Carry ``batch`` out in one transaction, and clean up now and then; False if the connection is done for."""
        for call in batch:
            call.sends += 1
            call.is_out = True
        uses = [call.use for call in batch if call.use is not None]
        try:
            async with asyncio.timeout(self._limit):
                seen, spends = await session.spend(uses)
        except asyncio.CancelledError:
            _unseen(session, batch)
            _fail(batch, UsedListFault.CLOSED, "the used-list was closed")
            raise
        except TimeoutError:
            _unseen(session, batch)
            self._broken(batch, UsedListFault.TIMEOUT, f"no answer within {self._limit * 1000:.0f} ms")
            return session.is_idle
        except DBAPIError as error:
            self._refused(session, batch, error)
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is: refuse, and go on with a fresh connection
            _unseen(session, batch)
            self._breaks += 1
            self._broken(batch, UsedListFault.LOST, f"the connection broke ({type(error).__name__})")
            return False
        answers = iter(spends)
        for call in batch:
            spend = None if call.use is None else next(answers)
            if not call.reply.done():
                call.reply.set_result((seen, spend))
        is_clock_doubtful = any(spend.outcome is SpendOutcome.CLOCK_DISAGREES for spend in spends)
        return is_clock_doubtful or await self._kept(session)

    async def _kept(self, session: Session) -> bool:
        """Sweep and tidy if it is time; nobody waits for it."""
        now = asyncio.get_running_loop().time()
        if now < self._next_sweep:
            return True
        self._next_sweep = now + self._sweep_every
        try:
            async with asyncio.timeout(max(self._limit, self._database.limit)):
                await session.sweep()
                await session.tidy()
        except Exception:  # noqa: BLE001 - nobody waits for it; a fresh connection tries again
            self._on_sweep_failed()
            return session.is_idle
        return True

    def _refused(self, session: Session, batch: list[Call], error: DBAPIError) -> None:
        if code_of(error) == READ_ONLY and not session.may_have_written:
            seen = Seen(0, refusal=SpendOutcome.NOT_PRIMARY, advice=advice(error))
            for call in batch:
                if not call.reply.done():
                    call.reply.set_result((seen, Spend(SpendOutcome.NOT_PRIMARY)))
            return
        _unseen(session, batch)
        fault = fault_of(error)
        if fault is UsedListFault.LOST:
            self._breaks += 1
            self._broken(batch, fault, advice(error))
        else:
            _fail(batch, fault, advice(error))

    def _broken(self, batch: Iterable[Call], fault: UsedListFault, why: str) -> None:
        now = asyncio.get_running_loop().time()
        for call in batch:
            if call.sends < MOST_SENDS and call.deadline > now and not call.reply.done() and not self._is_closed:
                call.is_out = False
                self._queue.append(call)
                self._arrived.set()
            else:
                _fail([call], fault, why)


def _unseen(session: Session, batch: Iterable[Call]) -> None:
    for call in batch:
        call.unseen += session.may_have_written


def _expire(call: Call) -> None:
    if call.reply.done():
        return
    fault = UsedListFault.TIMEOUT if call.sends else UsedListFault.CONNECT
    why = "no answer in time" if call.sends else "no connection was free in time"
    call.unseen += call.is_out
    _fail([call], fault, why)


def _fail(calls: Iterable[Call], fault: UsedListFault, why: str) -> None:
    for call in calls:
        if call.reply.done():
            continue
        if not call.unseen:
            call.reply.set_exception(UsedListError(fault, TokenState.UNSPENT, why))
        else:  # the database may have carried it out
            kind = UsedListFault.LOST if fault is UsedListFault.CONNECT else fault
            call.reply.set_exception(UsedListError(kind, TokenState.UNKNOWN, why))
