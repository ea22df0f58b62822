"""How is the list kept in PostgreSQL (13 or newer)?  On one primary, durable at every commit, by the server's clock.

The identity is made of what changes when the database may have forgotten: the instant the server started (a crash, a
restart, a data directory put back), its timeline (a promotion) and the files of the tables of uses and of counters
(TRUNCATE, dropped and made anew).  It needs no permission beyond the tables' own.  The files are compared once more
with every row that is written.

Limits.  As with Redis: an old primary that lives on after a promotion (fence it off before promoting), rows deleted by
hand, a machine reverted with its memory.
"""

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from ott_extauthz.ports import SpendOutcome
from ott_extauthz.sections.serving import ClockBounds
from ott_extauthz.sections.store import Store
from ott_extauthz.stores.password_files import PasswordFileError, password_from
from ott_extauthz.stores.sqllist.errors import ConnectError, ReplacedError, postgres_reason
from ott_extauthz.stores.sqllist.judging import Rules, Seen
from ott_extauthz.stores.sqllist.session import Session, read_fence
from ott_extauthz.stores.sqllist.tables import BUCKET, COUNTERS, FENCE, METADATA, USED
from ott_extauthz.stores.tls import store_context

if TYPE_CHECKING:
    from sqlalchemy.sql.dml import ReturningInsert

MINIMUM_LIMIT_SECONDS: Final = 1.0
LANES: Final = 4
"""Connections of one process: while one batch waits for its commit, others may be on their way."""

_CREATING: Final = 0x0774657874  # any number, the same for all who create the tables
_MS: Final = "CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS bigint)"
_FILES: Final = (
    "CAST(pg_relation_filenode(to_regclass('ott_used')) AS text) || '.' || "
    "CAST(pg_relation_filenode(to_regclass('ott_counters')) AS text)"
)
_LOOK: Final = text(f"""\
SELECT {_MS} AS now_ms, pg_is_in_recovery() AS is_replica, current_setting('transaction_read_only') AS read_only,
  current_setting('synchronous_commit') AS synchronous_commit, current_setting('fsync') AS fsync,
  current_setting('full_page_writes') AS full_page_writes, {_FILES} AS files,
  (SELECT string_agg(CAST(relpersistence AS text), '') FROM pg_class
    WHERE oid IN (to_regclass('ott_used'), to_regclass('ott_counters'), to_regclass('ott_fence'))) AS persistence,
  CASE WHEN pg_is_in_recovery() THEN '' ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END AS timeline,
  CAST(extract(epoch FROM pg_postmaster_start_time()) AS text) AS started""")  # noqa: S608 - constants of this file
_WRITTEN: Final = (text(f"{_MS} AS written_ms"), text(f"{_FILES} AS files"))
_INSERT: Final = insert(USED).on_conflict_do_nothing().returning(USED.c.key, *_WRITTEN)
_HOLD: Final = (
    insert(COUNTERS)
    .on_conflict_do_update(index_elements=[COUNTERS.c.key], set_={"part": COUNTERS.c.part})
    .returning(COUNTERS, *_WRITTEN)
)


def fence_margin_ms(bounds: ClockBounds) -> int:
    """Return the least margin that keeps the promise: ``a + m + 2c``, as in Redis."""
    return bounds.iat_lead + 3 * bounds.max_skew


class PostgresDatabase:
    """Opens sessions on one database."""

    lanes: Final = LANES

    def __init__(self, settings: Store, bounds: ClockBounds) -> None:
        parts = settings.parts
        (self._host, self._port), self._name, self._user = parts.servers[0], parts.name, parts.user
        self._settings = settings
        self.limit = max(MINIMUM_LIMIT_SECONDS, settings.timeout / 1000)
        self.rules = Rules(margin_ms=fence_margin_ms(bounds), max_skew_ms=bounds.max_skew)
        self._engine: AsyncEngine = create_async_engine(
            "postgresql+asyncpg://", poolclass=NullPool, isolation_level="AUTOCOMMIT", async_creator=self._connected
        )

    def __str__(self) -> str:
        return f"{self._host}:{self._port}/{self._name}"

    async def open(self) -> "PostgresSession":
        """Return a session on a connection of its own, with the tables there.

        Raises:
            ConnectError: there is none; the text names the setting to mend, where there is one.
        """
        try:
            async with AsyncExitStack() as undo, asyncio.timeout(self.limit):
                connection = await self._engine.connect()
                driver = (await connection.get_raw_connection()).driver_connection
                session = PostgresSession(connection, self.rules, driver)
                undo.push_async_callback(session.drop)
                await _prepare(connection)
                undo.pop_all()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, SQLAlchemyError, OSError) as error:
            raise ConnectError(self._reason(error)) from None
        return session

    def _reason(self, error: Exception) -> str:
        return postgres_reason(error, is_tls=self._settings.ca is not None, limit=self.limit)

    async def _connected(self) -> Any:  # noqa: ANN401 - asyncpg has no types
        """Connect by the settings alone: everything is given, so that no PG… variable or ~/.pgpass has a say."""
        try:
            return await self._opened()
        except PasswordFileError as error:
            raise ConnectError(str(error)) from None
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise ConnectError(self._reason(error)) from None

    async def _opened(self) -> Any:  # noqa: ANN401 - the same
        bound = str(int(self.limit * 1000))
        return await asyncpg.connect(
            host=self._host,
            port=self._port,
            user=self._user,
            password=password_from(self._settings.password_file, "store.password_file") or "",
            database=self._name,
            ssl=store_context(self._settings) if self._settings.ca else False,  # verify-full, or no TLS
            timeout=self.limit,
            target_session_attrs="any",
            server_settings={
                "application_name": "ott-extauthz",
                "synchronous_commit": "on",
                "statement_timeout": bound,
                "idle_in_transaction_session_timeout": bound,
            },
        )

    async def close(self) -> None:
        """Let go of everything."""
        await self._engine.dispose()


async def _prepare(connection: AsyncConnection) -> None:
    """Make the tables where they are missing, one process at a time.  A replica cannot, and need not."""
    missing = text("SELECT NOT pg_is_in_recovery() AND (to_regclass('ott_used') IS NULL OR "
                   "to_regclass('ott_counters') IS NULL OR to_regclass('ott_fence') IS NULL)")  # fmt: skip
    if (await connection.execute(missing)).scalar_one():
        await connection.exec_driver_sql("BEGIN")
        await connection.execute(select(func.pg_advisory_xact_lock(_CREATING)))
        await connection.run_sync(METADATA.create_all)
        await connection.exec_driver_sql("COMMIT")


class PostgresSession(Session):
    """One connection to the server."""

    BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"

    def __init__(self, connection: AsyncConnection, rules: Rules, driver: Any) -> None:  # noqa: ANN401 - no types
        super().__init__(connection, rules)
        self._driver = driver
        self._files = ""

    async def _disconnect(self) -> None:
        self._driver.terminate()  # at once: a polite goodbye would wait for a server that may be gone
        await self._connection.invalidate()
        await self._connection.close()

    def _insert(self) -> "ReturningInsert[Any]":
        return _INSERT

    def _hold(self) -> "ReturningInsert[Any]":
        return _HOLD

    async def _see(self) -> Seen:
        look = (await self._connection.execute(_LOOK)).one()
        self._files = look.files
        danger = _danger(look)
        if danger is not None:
            outcome, advice = danger
            return Seen(look.now_ms, refusal=outcome, advice=advice)
        if look.files is None:
            raise ReplacedError("a table of ours is gone")
        identity = f"{look.started}.{look.timeline}.{look.files}"
        fence = await read_fence(self._connection)
        if fence is not None and fence.identity == identity:
            return Seen(look.now_ms, fence)
        since_ms = max(look.now_ms, fence.since_ms) if fence else look.now_ms
        values = {"identity": identity, "since_ms": since_ms}
        statement = insert(FENCE).values(bucket=BUCKET, swept_ms=0, writes=0, **values)
        await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=[FENCE.c.bucket], set_=values, where=FENCE.c.identity != identity
            )
        )  # of two that do this at once, the first one's stands
        return Seen(look.now_ms, await read_fence(self._connection), is_fence_new=True)

    def _check_written(self, row: Any, seen: Seen) -> int:  # noqa: ANN401 - as the base class has it
        """Compare the tables with those the fence speaks of; the write holds a lock on the one that took the row."""
        if row.files != self._files:
            raise ReplacedError("a table of ours was emptied or made anew meanwhile")
        written_ms: int = row.written_ms
        return max(written_ms, seen.now_ms)


def _danger(look: Any) -> tuple[SpendOutcome, str] | None:  # noqa: ANN401 - a row
    if look.is_replica:
        return SpendOutcome.NOT_PRIMARY, "it is a replica; store.url must name the primary"
    if look.read_only != "off":
        return SpendOutcome.NOT_PRIMARY, "it takes no writes; set its default_transaction_read_only to off"
    for setting in ("synchronous_commit", "fsync", "full_page_writes"):
        if getattr(look, setting) == "off":
            return SpendOutcome.UNSAFE, f"it may forget what it has committed; set its {setting} to on"
    if (look.persistence or "").strip("p"):
        return SpendOutcome.UNSAFE, "a table of ours is UNLOGGED or temporary, and so may be forgotten"
    return None
