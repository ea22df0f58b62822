"""How is the list kept in a SQLite file?  WAL, synchronous=FULL, one writer at a time, one transaction per batch.

The file serves the processes of *one host*: they share its clock, so there is no skew to check, and the margin is
``a + 2c``: how far a token's iat may lead (a), and the clock's error (c, taken to be max_skew) before and after a step.
The identity is the boot's id and a random one.  A new one, and so a fence, is due when the file, its witness and
the host's boot do not agree: deleted, replaced, put back from a copy, moved to another host, shared by two of them.

Limits.  Not seen: a copy put back *together with* its witness file, in place, without a reboot; a row deleted by hand.
A network file system is none for SQLite's locks.  Without /proc there is no boot id, so that after a crash of the
machine all rests on the disk's honesty.
"""

import asyncio
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from sqlalchemy import update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from ott_extauthz.ports import Clock
from ott_extauthz.settings import ClockBounds, Store
from ott_extauthz.stores.sqllist.errors import ConnectError, ReplacedError, sqlite_reason
from ott_extauthz.stores.sqllist.judging import Fence, Rules, Seen
from ott_extauthz.stores.sqllist.session import GOODBYE_SECONDS, Session, read_fence
from ott_extauthz.stores.sqllist.tables import BUCKET, FENCE, METADATA, USED
from ott_extauthz.stores.sqllist.witness import Mark, Witness, boot_id, stamp_of

if TYPE_CHECKING:
    from sqlalchemy.sql.dml import ReturningInsert

BUSY_SHARE: Final = 0.75
"""How much of the time limit may be waited for another process's transaction."""

MINIMUM_LIMIT_SECONDS: Final = 1.0
_COUNTED: Final = update(FENCE).where(FENCE.c.bucket == BUCKET).values(writes=FENCE.c.writes + 1)


def path_from(url: str) -> Path:
    """Take ``sqlite:///absolute/path/file`` apart.

    Raises:
        ValueError: the URL says something else, or something that would be ignored.
    """
    parts = urlsplit(url)
    if parts.netloc or parts.query or parts.fragment or not parts.path.strip("/") or parts.path.endswith("/"):
        raise ValueError("store.url is written sqlite:///absolute/path/of/a/file; nothing follows it")
    return Path(unquote("/" + parts.path.lstrip("/")))


class SqliteDatabase:
    """Opens sessions on one file; one lane of them, since the file takes one writer at a time."""

    lanes: Final = 1

    def __init__(self, settings: Store, bounds: ClockBounds, clock: Clock) -> None:
        self._path = path_from(settings.url)
        self._clock = clock
        self._busy_ms = int(settings.timeout * BUSY_SHARE)
        self.limit = max(MINIMUM_LIMIT_SECONDS, settings.timeout / 1000)
        self.rules = Rules(margin_ms=fence_margin_ms(bounds), max_skew_ms=None)
        self._engine: AsyncEngine = create_async_engine(
            f"sqlite+aiosqlite:///{self._path}", poolclass=NullPool, isolation_level="AUTOCOMMIT"
        )

    def __str__(self) -> str:
        return str(self._path)

    async def open(self) -> "SqliteSession":
        """Return a session on the file as it lies there now; a missing file is made.

        Raises:
            ConnectError: there is none; the text names what to mend.
        """
        session: SqliteSession | None = None
        try:
            async with asyncio.timeout(self.limit):
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # changes no stamp
                inode, _ = stamp_of(self._path)
                connection = await self._engine.connect()
                session = SqliteSession(connection, self.rules, clock=self._clock, path=self._path, inode=inode)
                await self._prepare(connection)
                session.check_inode()
        except (SQLAlchemyError, OSError, ReplacedError, ConnectError) as error:
            if session is not None:
                await session.drop()
            raise ConnectError(sqlite_reason(error)) from None
        return session

    async def _prepare(self, connection: AsyncConnection) -> None:
        await connection.exec_driver_sql(f"PRAGMA busy_timeout = {self._busy_ms}")
        async with Witness(
            self._path
        ).locked():  # the first process to come makes the tables; to become WAL changes the file
            mode = (await connection.exec_driver_sql("PRAGMA journal_mode = WAL")).scalar_one()
            if mode != "wal":
                raise ConnectError(f"its journal mode is {mode}; WAL is needed (is it on a network file system?)")
            await connection.exec_driver_sql("PRAGMA synchronous = FULL")
            await connection.exec_driver_sql("PRAGMA wal_autocheckpoint = 0")
            await connection.run_sync(METADATA.create_all)

    async def close(self) -> None:
        """Let go of everything."""
        await self._engine.dispose()


def fence_margin_ms(bounds: ClockBounds) -> int:
    """Return the least margin that keeps the promise where the database shares its callers' clock."""
    return bounds.iat_lead + 2 * bounds.max_skew


class SqliteSession(Session):
    """One connection to the file, and to no other file that may come to lie at its path."""

    BEGIN = "BEGIN IMMEDIATE"

    def __init__(self, connection: AsyncConnection, rules: Rules, *, clock: Clock, path: Path, inode: int) -> None:
        super().__init__(connection, rules)
        self._clock, self._path, self._inode = clock, path, inode
        self._witness = Witness(path)

    def check_inode(self) -> str:
        """Return the file's stamp.

        Raises:
            ReplacedError: another file, or none, lies at the path.
        """
        try:
            inode, stamp = stamp_of(self._path)
        except FileNotFoundError:
            raise ReplacedError("the file was deleted while it was in use") from None
        if inode != self._inode:
            raise ReplacedError("the file was replaced while it was in use")
        return stamp

    def _insert(self) -> "ReturningInsert[Any]":
        return insert(USED).on_conflict_do_nothing().returning(USED.c.key)

    async def _see(self) -> Seen:
        fence = await read_fence(self._connection)
        async with self._witness.locked() as witness:
            mark, stamp = witness.read(), self.check_inode()
            if fence is not None and mark is not None and _vouches(mark, fence, stamp):
                return Seen(self._clock.now_ms(), fence)
            return await self._fenced(fence, lambda made: witness.write(Mark(made.identity, made.writes, stamp)))

    async def _fenced(self, before: Fence | None, mark: Any) -> Seen:  # noqa: ANN401 - a callable of one Fence
        """Begin a new data set now, and never earlier than the one before; the witness knows it before it counts."""
        now_ms = self._clock.now_ms()
        before = before or Fence("", now_ms)
        made = Fence(
            f"{boot_id()}.{secrets.token_hex(16)}", max(now_ms, before.since_ms), before.swept_ms, before.writes
        )
        values = {
            "identity": made.identity, "since_ms": made.since_ms, "swept_ms": made.swept_ms, "writes": made.writes,
        }  # fmt: skip
        statement = insert(FENCE).values(bucket=BUCKET, **values)
        await self._connection.execute(statement.on_conflict_do_update(index_elements=[FENCE.c.bucket], set_=values))
        mark(made)
        return Seen(now_ms, made, is_fence_new=True)

    async def _finish(self, seen: Seen, *, has_written: bool) -> None:
        if has_written:
            await self._connection.execute(_COUNTED)
        await super()._finish(seen, has_written=has_written)

    async def _committed(self, seen: Seen, *, has_written: bool) -> None:
        fence = seen.fence
        if fence is None or not has_written:
            return
        writes = fence.writes + 1
        async with self._witness.locked() as witness:
            mark = witness.read()
            if mark is not None and mark.identity == fence.identity and mark.writes < writes:
                witness.write(Mark(mark.identity, writes, mark.stamp))
            self.check_inode()

    async def tidy(self) -> None:
        """Write the log back into the file, and tell the witness how the file looks after it."""
        async with self._witness.locked() as witness:
            mark, stamp = witness.read(), self.check_inode()
            if mark is not None and mark.stamp == stamp:
                await self._connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")
                witness.write(Mark(mark.identity, mark.writes, self.check_inode()))

    async def drop(self) -> None:
        """Close; the last one to close a file writes its log back into it, which the witness must know."""
        try:
            async with asyncio.timeout(GOODBYE_SECONDS), self._witness.locked() as witness:
                mark, stamp = witness.read(), self.check_inode()
                await super().drop()
                if mark is not None and mark.stamp == stamp:
                    witness.write(Mark(mark.identity, mark.writes, self.check_inode()))
        except (TimeoutError, OSError, ReplacedError):
            await super().drop()


def _vouches(mark: Mark, fence: Fence, stamp: str) -> bool:
    return (
        mark.identity == fence.identity
        and fence.identity.startswith(f"{boot_id()}.")
        and fence.writes >= mark.writes
        and mark.stamp == stamp
    )
