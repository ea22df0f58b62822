"""What happens in one transaction?  A batch of uses is spent, each with an answer of its own.

The order never changes: begin, see (clock, role, safety, fence), write, read what was in the way, commit, and only then
answer.  A transaction whose COMMIT was not sent cannot have spent anything: ``may_have_written`` says whether it was.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from ott_extauthz.ports import Spend, SpendOutcome, Use
from ott_extauthz.stores.sqllist.judging import Fence, Row, Rules, Seen, judged
from ott_extauthz.stores.sqllist.tables import BUCKET, FENCE, USED

if TYPE_CHECKING:
    from sqlalchemy.sql.dml import ReturningInsert

SWEEP_ROWS: Final = 1000
"""Ended uses deleted at once: few, so that no spend waits long behind a sweep."""

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
        rows, late = await self._written(fit, seen) if fit else ({}, set())
        await self._finish(seen, has_written=bool(fit))
        return seen, [
            Spend(refusal) if refusal else self._answer(use, rows, late, seen)
            for use, refusal in zip(uses, refusals, strict=True)
        ]

    async def sweep(self) -> None:
        """Delete some of what has ended by the database's clock, and remember up to when, in one transaction."""
        self.may_have_written = False
        await self._connection.exec_driver_sql(self.BEGIN)
        seen = await self._see()
        if seen.fence is None or seen.refusal is not None:
            await self._connection.exec_driver_sql("ROLLBACK")
            return
        ended = (await self._connection.execute(_ENDED, {"now_ms": seen.now_ms})).scalars().all()
        if ended:
            await self._connection.execute(_SWEPT, {"now_ms": seen.now_ms})
            await self._connection.execute(delete(USED).where(USED.c.key.in_(ended)))
        await self._finish(seen, has_written=bool(ended))

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

    async def _committed(self, seen: Seen, *, has_written: bool) -> None:
        """Make sure, after COMMIT and before anyone is answered, that the data set is still the one it was."""

    def _check_written(self, row: Any, seen: Seen) -> int:  # noqa: ANN401, ARG002 - a row of either dialect
        """Return the database's time at which ``row`` was written."""
        return seen.now_ms

    async def _written(self, uses: Sequence[Use], seen: Seen) -> tuple[dict[bytes, Row], set[bytes]]:
        """Write the first use of each key; return the row of every key, and which keys were written too late."""
        firsts: dict[bytes, Use] = {}
        for use in uses:
            firsts.setdefault(use.key, use)
        values = [_values(firsts[key], seen.now_ms) for key in sorted(firsts)]  # one order for all: no deadlock
        late: set[bytes] = set()
        rows: dict[bytes, Row] = {}
        for row in await self._connection.execute(self._insert(), values):
            use = firsts[row.key]
            rows[use.key] = Row(use.nonce, seen.now_ms, use.witness)
            if self._check_written(row, seen) >= use.keep_until_ms:
                late.add(use.key)
        others = [key for key in firsts if key not in rows]
        if others:
            for row in await self._connection.execute(_IN_THE_WAY, {"keys": others}):
                rows[row.key] = Row(row.nonce, row.first_ms, row.witness)
        return rows, late

    async def _finish(self, seen: Seen, *, has_written: bool) -> None:
        if not has_written and not seen.is_fence_new:
            await self._connection.exec_driver_sql("ROLLBACK")
            return
        self.may_have_written = has_written
        await self._connection.exec_driver_sql("COMMIT")
        await self._committed(seen, has_written=has_written)

    @staticmethod
    def _answer(use: Use, rows: dict[bytes, Row], late: set[bytes], seen: Seen) -> Spend:
        if use.key in late:
            return Spend(SpendOutcome.EXPIRED)
        return judged(use, rows.get(use.key), seen.now_ms)


def _values(use: Use, now_ms: int) -> dict[str, object]:
    return {
        "key": use.key,
        "nonce": use.nonce,
        "first_ms": now_ms,
        "keep_until_ms": use.keep_until_ms,
        "witness": use.witness,
    }


async def read_fence(connection: AsyncConnection) -> Fence | None:
    """Return the fence as it stands, whoever's it is."""
    row = (await connection.execute(READ_FENCE)).one_or_none()
    return None if row is None else Fence(row.identity, row.since_ms, row.swept_ms, row.writes)
