"""What does the used-list keep in a database?  Three tables, the same in SQLite and in PostgreSQL.

``swept_ms`` is the latest instant up to which ended uses were deleted: nothing that ends at or before it is ever a
first use again, whatever a clock says later.  ``writes`` counts the transactions that wrote uses; SQLite's witness
compares it.  A counter's columns are those of ``counting.Counter``.
"""

from typing import Final

from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, SmallInteger, Table, Text

BUCKET: Final = 0
"""One bucket: one database has one fence."""

METADATA: Final = MetaData()

USED: Final = Table(
    "ott_used",
    METADATA,
    Column("key", LargeBinary, primary_key=True),
    Column("nonce", LargeBinary, nullable=False),
    Column("first_ms", BigInteger, nullable=False),
    Column("keep_until_ms", BigInteger, nullable=False, index=True),
    Column("witness", LargeBinary, nullable=False),
)

COUNTERS: Final = Table(
    "ott_counters",
    METADATA,
    Column("key", LargeBinary, primary_key=True),
    Column("level", BigInteger, nullable=False),
    Column("part", BigInteger, nullable=False),
    Column("keep_until_ms", BigInteger, nullable=False, index=True),
)

FENCE: Final = Table(
    "ott_fence",
    METADATA,
    Column("bucket", SmallInteger, primary_key=True, autoincrement=False),
    Column("identity", Text, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("swept_ms", BigInteger, nullable=False),
    Column("writes", BigInteger, nullable=False),
)
