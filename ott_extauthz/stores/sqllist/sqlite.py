"""How is the list kept in a SQLite file?  WAL, synchronous=FULL, one writer at a time, one transaction per batch.

The file serves the processes of *one host*: they share its clock, so there is no skew to check, and the margin is
``a + 2c``: how far a token's iat may lead (a), and the clock's error (c, taken to be max_skew) before and after a step.
The identity is the boot's id and a random one.  A new one, and so a fence, is due when the file, its witness and
the host's boot do not agree: deleted, replaced, put back from a copy, moved to another host, shared by two of them.

Why no token is accepted twice.  Whoever accepts holds the witness's lock from before it looks until it answers, on a
witness that lies in place at both ends; so uses are in one order.  An accepted use saw file and witness agree at an
instant ``t``, was issued before ``t + a`` (+ 2c), and left its count in the witness.

1. A later use on the same witness and identity sees a count that is no lower and a file that only our checkpoints
   changed: it sees the row.  Were row or file gone, count or stamp would disagree.
2. Once they disagree a fence is set, at or after ``t``: it refuses the token.  A new or empty witness disagrees.
3. The log is part of the file: a worker whose database, log or log index was unlinked answers nothing (``files.py``).
4. Whoever is killed: before the commit, nothing was spent; after it and before the count, the use is there and was not
   answered.  A fence is written to the witness first: before its commit nobody accepts by it (they disagree), after it
   they agree; so each fault moves the fence once, wherever workers die on the way.
5. A caller's time limit stops no thread of the driver: the lock is kept until it has ended, and what was not on its way
   to the commit when the caller left is not committed.

Limits.  Not seen: a copy put back *together with* its witness file, in place, without a reboot; a row or a table
deleted by hand; a file exchanged in the very milliseconds of a checkpoint.  One fence too many: a worker killed in the
middle of a checkpoint; another program that opens the file while no worker does (the last to close it writes the log
back).
A network file system is none for SQLite's locks.  Without /proc there is no boot id, so that after a crash of the
machine all rests on the disk's honesty.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import aiosqlite
from sqlalchemy import update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from ott_extauthz.ports import Clock, Spend, Use
from ott_extauthz.sections.serving import ClockBounds
from ott_extauthz.sections.store import Store
from ott_extauthz.store_url import store_url
from ott_extauthz.stores.sqllist.errors import ConnectError, ReplacedError, sqlite_reason
from ott_extauthz.stores.sqllist.files import Files, make_missing
from ott_extauthz.stores.sqllist.judging import Fence, Rules, Seen
from ott_extauthz.stores.sqllist.session import GOODBYE_SECONDS, Session, read_fence
from ott_extauthz.stores.sqllist.tables import BUCKET, COUNTERS, FENCE, METADATA, USED
from ott_extauthz.stores.sqllist.witness import PATIENCE_SECONDS, Mark, OpenWitness, Witness, boot_id, stamp_of

if TYPE_CHECKING:
    from sqlalchemy.sql.dml import ReturningInsert

BUSY_SHARE: Final = 0.75
"""How much of the time limit may be waited for another process's transaction."""

MINIMUM_LIMIT_SECONDS: Final = 1.0
_T = TypeVar("_T")
_COUNTED: Final = update(FENCE).where(FENCE.c.bucket == BUCKET).values(writes=FENCE.c.writes + 1)


def path_from(url: str) -> Path:
    """Take ``sqlite:///absolute/path/file`` apart.

    Raises:
        ValueError: the URL says something else, or something that would be ignored.
    """
    return Path("/" + store_url(url).name)


class SqliteDatabase:
    """Opens sessions on one file; one lane of them, since the file takes one writer at a time."""

    lanes: Final = 1

    def __init__(self, settings: Store, bounds: ClockBounds, clock: Clock) -> None:
        self._path = path_from(settings.url)
        self._clock = clock
        self._busy_ms = int(settings.timeout * BUSY_SHARE)
        self.limit = max(MINIMUM_LIMIT_SECONDS, settings.timeout / 1000)
        self.rules = Rules(margin_ms=fence_margin_ms(bounds), max_skew_ms=None)
        self._leaving: set[asyncio.Task[None]] = set()
        self._engine: AsyncEngine = create_async_engine(
            "sqlite+aiosqlite://", poolclass=NullPool, isolation_level="AUTOCOMMIT", async_creator=self._connected
        )

    def __str__(self) -> str:
        return str(self._path)

    async def open(self) -> "SqliteSession":
        """Return a session on the file as it lies there now; a missing file is made.

        Raises:
            ConnectError: there is none; the text names what to mend.
        """
        session = SqliteSession(
            self._engine.connect(), self.rules, clock=self._clock, path=self._path, leaving=self._leaving
        )
        try:
            async with asyncio.timeout(self.limit):
                await session.prepare(self._busy_ms)
        except (SQLAlchemyError, OSError, ReplacedError, ConnectError) as error:
            await session.drop()
            raise ConnectError(sqlite_reason(error)) from None
        except asyncio.CancelledError:
            await session.drop()
            raise
        return session

    async def _connected(self) -> aiosqlite.Connection:
        driver = aiosqlite.connect(self._path, check_same_thread=False)
        driver._thread.daemon = True  # noqa: SLF001 - as SQLAlchemy does: a hung disk must not keep a process from ending
        try:
            return await driver
        except BaseException:
            await _rested(driver)
            raise

    async def close(self) -> None:
        """Let go of everything, and give what is being closed a moment to end."""
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=GOODBYE_SECONDS)
        await self._engine.dispose()


def fence_margin_ms(bounds: ClockBounds) -> int:
    """Return the least margin that keeps the promise where the database shares its callers' clock."""
    return bounds.iat_lead + 2 * bounds.max_skew


class SqliteSession(Session):
    """One connection to the file, and to no other file that may come to lie at its path.

    All that it does is done alone, under the witness's lock, and is ended once begun: who asked for it may leave, but
    the driver's thread goes on.  So the lock is kept until the thread has come to rest.
    """

    BEGIN = "BEGIN IMMEDIATE"

    def __init__(
        self,
        connection: AsyncConnection,
        rules: Rules,
        *,
        clock: Clock,
        path: Path,
        leaving: set[asyncio.Task[None]],
    ) -> None:
        super().__init__(connection, rules)
        self._clock, self._path, self._leaving = clock, path, leaving
        self._witness = Witness(path)
        self._lock: OpenWitness | None = None
        self._files: Files | None = None
        self._driver: aiosqlite.Connection | None = None
        self._under_way: asyncio.Task[Any] | None = None
        self._is_left = False

    async def prepare(self, busy_ms: int) -> None:
        """Open the file; the first process to come makes it, and the tables."""
        await self._alone(partial(self._prepare, busy_ms))

    async def _prepare(self, busy_ms: int) -> None:
        make_missing(self._path)
        inode, _ = stamp_of(self._path)
        connection = await self._connection.start()
        self._driver = (await connection.get_raw_connection()).driver_connection
        await connection.exec_driver_sql(f"PRAGMA busy_timeout = {busy_ms}")
        mode = (await connection.exec_driver_sql("PRAGMA journal_mode = WAL")).scalar_one()
        if mode != "wal":
            raise ConnectError(f"its journal mode is {mode}; WAL is needed (is it on a network file system?)")
        await connection.exec_driver_sql("PRAGMA synchronous = FULL")
        await connection.exec_driver_sql("PRAGMA wal_autocheckpoint = 0")
        await connection.run_sync(METADATA.create_all)
        self._files = Files.opened(self._path, inode)

    @property
    def is_idle(self) -> bool:
        """Whether the connection is at rest: what was given up was still waiting for the lock."""
        return self._lock is None

    async def spend(self, uses: Sequence[Use]) -> tuple[Seen, list[Spend]]:
        """Spend ``uses``, alone."""
        self.may_have_written = False
        return await self._alone(partial(super().spend, uses))

    async def sweep(self) -> None:
        """Sweep, alone."""
        await self._alone(super().sweep)

    async def tidy(self) -> None:
        """Write the log back into the file, and tell the witness how the file looks after it."""
        await self._alone(self._tidy)

    async def _tidy(self) -> None:
        mark, stamp = self._own_lock.read(), self._stamp()
        if mark is not None and mark.stamp == stamp:
            await self._connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")
            self._own_lock.write(replace(mark, stamp=self._stamp()))

    async def drop(self) -> None:
        """Close, once all that is under way has ended; nobody waits long for that, but the lock is kept until then."""
        leaving = asyncio.create_task(self._dropped())
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
        await asyncio.wait({leaving}, timeout=GOODBYE_SECONDS)

    async def _dropped(self) -> None:
        """Close; the last one to close a file writes its log back into it, which the witness must know."""
        if self._under_way is not None:
            await asyncio.gather(self._under_way, return_exceptions=True)  # its caller has left
        try:
            lock = self._lock or await self._witness.taken()
        except OSError:  # the folder itself is gone
            await self._disconnect()
            return
        try:
            mark = self._trusted(lock)
            await self._disconnect()
            if mark is not None:
                lock.write(replace(mark, stamp=self._stamp()))
        finally:
            lock.close()

    def _trusted(self, lock: OpenWitness) -> Mark | None:
        """Return what the witness says if it is true of the file that we have open."""
        try:
            if self._files is None:
                return None
            self._files.check()
            mark = lock.read()
            return mark if mark is not None and mark.stamp == self._stamp() else None
        except (OSError, ReplacedError):
            return None

    async def _disconnect(self) -> None:
        with contextlib.suppress(SQLAlchemyError, OSError, ValueError):
            await self._connection.close()
        if self._driver is not None:
            self._driver.stop()
            await _rested(self._driver)

    async def _alone(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Do ``work`` under the lock and to its end; a caller who leaves meanwhile leaves it to itself."""
        self._is_left = False
        self._under_way = under_way = asyncio.create_task(self._locked(work))
        try:
            return await asyncio.shield(under_way)
        except asyncio.CancelledError:
            self._is_left = True
            if self._lock is None:
                under_way.cancel()
            raise

    async def _locked(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Do ``work`` and unlock; if it fails, the transaction may still be open, and :meth:`drop` unlocks."""
        self._lock = lock = await self._witness.taken()
        if self._files is not None:
            self._files.check()
        result = await work()
        self._lock = None
        lock.close()
        return result

    @property
    def _own_lock(self) -> OpenWitness:
        if self._lock is None:
            raise RuntimeError("not under the lock")
        return self._lock

    def _stamp(self) -> str:
        return stamp_of(self._path)[1]

    def _insert(self) -> "ReturningInsert[Any]":
        return insert(USED).on_conflict_do_nothing().returning(USED.c.key)

    def _hold(self) -> "ReturningInsert[Any]":
        statement = insert(COUNTERS)
        same = {"part": COUNTERS.c.part}
        return statement.on_conflict_do_update(index_elements=[COUNTERS.c.key], set_=same).returning(COUNTERS)

    async def _see(self) -> Seen:
        fence = await read_fence(self._connection)
        mark, stamp = self._own_lock.read(), self._stamp()
        if fence is not None and mark is not None and _vouches(mark, fence, stamp):
            return Seen(self._clock.now_ms(), fence)
        return await self._fenced(fence, stamp)

    async def _fenced(self, before: Fence | None, stamp: str) -> Seen:
        """Begin a new data set now, and never earlier than the one before; the witness knows it before it counts."""
        now_ms = self._clock.now_ms()
        before = before or Fence("", now_ms)
        made = replace(before, identity=f"{boot_id()}.{secrets.token_hex(16)}", since_ms=max(now_ms, before.since_ms))
        values = asdict(made)
        statement = insert(FENCE).values(bucket=BUCKET, **values)
        await self._connection.execute(statement.on_conflict_do_update(index_elements=[FENCE.c.bucket], set_=values))
        self._own_lock.write(Mark(made.identity, made.writes, stamp))
        return Seen(now_ms, made, is_fence_new=True)

    async def _finish(self, seen: Seen, *, has_written: bool) -> None:
        if has_written:
            await self._connection.execute(_COUNTED)
        if has_written and self._is_left:  # the caller was told that nothing was spent
            raise TimeoutError("given up before the commit")
        await super()._finish(seen, has_written=has_written)

    async def _committed(self, seen: Seen, *, has_written: bool) -> None:
        fence = seen.fence
        if fence is None or self._files is None or not has_written:
            return
        self._files.check()
        mark = self._own_lock.read()
        if mark is None or mark.identity != fence.identity or not self._own_lock.is_in_place:
            raise ReplacedError("the witness beside the file was replaced while it was in use")
        self._own_lock.write(replace(mark, writes=fence.writes + 1))


async def _rested(driver: aiosqlite.Connection) -> None:
    """Wait until the driver's thread has ended: until then it may write."""
    while driver._thread.is_alive():  # noqa: ASYNC110, SLF001 - aiosqlite has no other way to wait for it
        await asyncio.sleep(PATIENCE_SECONDS)


def _vouches(mark: Mark, fence: Fence, stamp: str) -> bool:
    return (
        mark.identity == fence.identity
        and fence.identity.startswith(f"{boot_id()}.")
        and fence.writes >= mark.writes
        and mark.stamp == stamp
    )
