"""What happens in one transaction?  A batch of uses is spent, each with an answer of its own.

The order never changes: begin, see (clock, role, safety, fence), write, read what was in the way, lock the counters,
judge, withdraw what was refused, commit, and only then answer.  Uses are locked before counters, each in one order: no
deadlock.  A transaction whose COMMIT was not sent cannot have spent anything: ``may_have_written`` says whether it was.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from ott_extauthz.ports import Spend, Use
from ott_extauthz.stores.counting import UNTOUCHED, Counter, Counters
from ott_extauthz.stores.sqllist.batch import Batch
from ott_extauthz.stores.sqllist.judging import Fence, Row, Rules, Seen
from ott_extauthz.stores.sqllist.tables import BUCKET, COUNTERS, FENCE, USED

if TYPE_CHECKING:
    from sqlalchemy.sql.dml import ReturningInsert

SWEEP_ROWS: Final = 1000
"""Ended uses, or counters, deleted at once: few, so that no spend waits long behind a sweep."""

GOODBYE_SECONDS: Final = 1.0

_IN_THE_WAY: Final = select(USED.c.key, USED.c.nonce, USED.c.first_ms, USED.c.witness).where(
    USED.c.key.in_(bindparam("keys", expanding=True))
)
_ENDED: Final = (
    select(USED.c.key)
    .where(USED.c.keep_until_ms <= bindparam("now_ms"))
    .limit(SWEEP_ROWS)
    .with_for_update(skip_locked=True)
)
_A_COUNTER_ENDED: Final = select(COUNTERS.c.key).where(COUNTERS.c.keep_until_ms <= bindparam("now_ms")).limit(1)
_ENDED_COUNTERS: Final = _A_COUNTER_ENDED.limit(SWEEP_ROWS).with_for_update(skip_locked=True)
_KEEP: Final = (
    update(COUNTERS)
    .where(COUNTERS.c.key == bindparam("of_key"))
    .values({name: bindparam(name) for name in ("level", "part", "keep_until_ms")})
)
_TAKE_OVER: Final = (
    update(USED)
    .where(USED.c.key == bindparam("of_key"))
    .values({name: bindparam(name) for name in ("nonce", "keep_until_ms", "witness")})
)
_SWEPT: Final = (
    update(FENCE)
    .where(FENCE.c.bucket == BUCKET, FENCE.c.swept_ms < bindparam("now_ms"))
    .values(swept_ms=bindparam("now_ms"))
)
READ_FENCE: Final = select(FENCE.c.identity, FENCE.c.since_ms, FENCE.c.swept_ms, FENCE.c.writes).where(
    FENCE.c.bucket == BUCKET
)


class Session:
    """One connection.  Subclasses know their database's clock, identity and dangers."""

    BEGIN: str

    def __init__(self, connection: AsyncConnection, rules: Rules) -> None:
        self._connection = connection
        self._rules = rules
        self.may_have_written = False

    @property
    def is_idle(self) -> bool:
        """Whether a transaction that was given up never began, so that the connection is as good as before."""
        return False

    async def spend(self, uses: Sequence[Use]) -> tuple[Seen, list[Spend]]:
        """Spend ``uses`` in one transaction; with none, only see (which sets the fence where there is none)."""
        self.may_have_written = False
        await self._connection.exec_driver_sql(self.BEGIN)
        seen = await self._see()
        refusals = [self._rules.refusal(use, seen) for use in uses]
        fit = [use for use, refusal in zip(uses, refusals, strict=True) if refusal is None]
        spends, has_written = await self._spent(fit, seen) if fit else ([], False)
        await self._finish(seen, has_written=has_written)
        answers = iter(spends)
        return seen, [Spend(refusal) if refusal else next(answers) for refusal in refusals]

    async def sweep(self) -> None:
        """Delete some of what has ended by the database's clock, and remember up to when, in one transaction."""
        self.may_have_written = False
        await self._connection.exec_driver_sql(self.BEGIN)
        seen = await self._see()
        if seen.fence is None or seen.refusal is not None:
            await self._connection.exec_driver_sql("ROLLBACK")
            return
        now = {"now_ms": seen.now_ms}
        ended = (await self._connection.execute(_ENDED, now)).scalars().all()
        has_ended_counters = (await self._connection.execute(_A_COUNTER_ENDED, now)).first() is not None
        if ended or has_ended_counters:
            await self._connection.execute(_SWEPT, now)
            await self._connection.execute(delete(USED).where(USED.c.key.in_(ended)))
            # After the fence, never before: whoever sets a fence waits for counters next.
            counters = (await self._connection.execute(_ENDED_COUNTERS, now)).scalars().all()
            await self._connection.execute(delete(COUNTERS).where(COUNTERS.c.key.in_(counters)))
        await self._finish(seen, has_written=bool(ended or has_ended_counters))

    async def tidy(self) -> None:
        """Do what the database wants done now and then."""

    async def drop(self) -> None:
        """Let go of the connection, within a bounded time, whatever state it is in."""
        with contextlib.suppress(TimeoutError, SQLAlchemyError, OSError, ValueError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._disconnect()

    async def _disconnect(self) -> None:
        await self._connection.close()

    async def _see(self) -> Seen:
        raise NotImplementedError

    def _insert(self) -> "ReturningInsert[Any]":
        raise NotImplementedError

    def _hold(self) -> "ReturningInsert[Any]":
        """Return what makes counters that are missing, and locks and returns all of them."""
        raise NotImplementedError

    async def _committed(self, seen: Seen, *, has_written: bool) -> None:
        """Make sure, after COMMIT and before anyone is answered, that the data set is still the one it was."""

    def _check_written(self, row: Any, seen: Seen) -> int:  # noqa: ANN401, ARG002 - a row of either dialect
        """Return the database's time at which ``row`` was written."""
        return seen.now_ms

    async def _spent(self, uses: list[Use], seen: Seen) -> tuple[list[Spend], bool]:
        """Return what comes of ``uses``, and whether there is anything to commit."""
        batch = await self._claimed(uses, seen)
        counters, fresh = await self._held(batch.counters_of(uses), seen)
        spends = [batch.judge(use, counters) for use in uses]
        if not batch.is_void or seen.is_fence_new:  # else all of it is rolled back
            await self._correct(batch, counters, fresh)
        return spends, not batch.is_void

    async def _claimed(self, uses: Sequence[Use], seen: Seen) -> Batch:
        """Write a row for the first use of each key, and read the rows that were in the way."""
        firsts: dict[bytes, Use] = {}
        for use in uses:
            firsts.setdefault(use.key, use)
        values = [_values(firsts[key], seen.now_ms) for key in sorted(firsts)]
        batch = Batch(now_ms=seen.now_ms, rows={}, claimed={}, late=set())
        for row in await self._connection.execute(self._insert(), values):
            use = batch.claimed[row.key] = firsts[row.key]
            if self._check_written(row, seen) >= use.keep_until_ms:
                batch.late.add(use.key)
        others = [key for key in firsts if key not in batch.claimed]
        if others:
            for row in await self._connection.execute(_IN_THE_WAY, {"keys": others}):
                batch.rows[row.key] = Row(row.nonce, row.first_ms, row.witness)
        return batch

    async def _held(self, names: list[bytes], seen: Seen) -> tuple[Counters, set[bytes]]:
        """Lock the counters of these names, and return them as they are now; and which of them did not exist."""
        held: dict[bytes, Counter] = {}
        now_ms = seen.now_ms
        if names:
            values = [{"key": name, "level": 0, "part": 0, "keep_until_ms": 0} for name in names]
            for row in await self._connection.execute(self._hold(), values):
                held[row.key] = Counter(row.level, row.part, row.keep_until_ms)
                now_ms = max(now_ms, self._check_written(row, seen))  # it may have waited for others
        since_ms, swept_ms = (seen.fence.since_ms, seen.fence.swept_ms) if seen.fence else (now_ms, now_ms)
        fence_ms, ended_ms = since_ms + self._rules.margin_ms, max(now_ms, swept_ms)
        fresh = {name for name, counter in held.items() if counter == UNTOUCHED}
        return Counters(held=held, now_ms=now_ms, fence_ms=fence_ms, ended_ms=ended_ms), fresh

    async def _correct(self, batch: Batch, counters: Counters, fresh: set[bytes]) -> None:
        """Write what was charged; take back what turned out not to be a first use."""
        kept = [{"of_key": name, **_counted(counters.held[name])} for name in sorted(counters.changed)]
        if kept:
            await self._connection.execute(_KEEP, kept)
        taken_over = [
            {"of_key": use.key, "nonce": use.nonce, "keep_until_ms": use.keep_until_ms, "witness": use.witness}
            for use in batch.taken_over
        ]
        if taken_over:
            await self._connection.execute(_TAKE_OVER, taken_over)
        for table, keys in ((USED, batch.withdrawn), (COUNTERS, fresh - counters.changed)):
            if keys:
                await self._connection.execute(delete(table).where(table.c.key.in_(keys)))

    async def _finish(self, seen: Seen, *, has_written: bool) -> None:
        if not has_written and not seen.is_fence_new:
            await self._connection.exec_driver_sql("ROLLBACK")
            return
        self.may_have_written = has_written
        await self._connection.exec_driver_sql("COMMIT")
        await self._committed(seen, has_written=has_written)


def _values(use: Use, now_ms: int) -> dict[str, object]:
    return {
        "key": use.key,
        "nonce": use.nonce,
        "first_ms": now_ms,
        "keep_until_ms": use.keep_until_ms,
        "witness": use.witness,
    }


def _counted(counter: Counter) -> dict[str, int]:
    return {"level": counter.level, "part": counter.part, "keep_until_ms": counter.keep_until_ms}


async def read_fence(connection: AsyncConnection) -> Fence | None:
    """Return the fence as it stands, whoever's it is."""
    row = (await connection.execute(READ_FENCE)).one_or_none()
    return None if row is None else Fence(row.identity, row.since_ms, row.swept_ms, row.writes)
